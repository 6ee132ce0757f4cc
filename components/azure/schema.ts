/** The table of the records. */
export const TABLE = "dbo.ImageMetadata";

/**
 * How the database came to be: each step is applied once, in order, and never changed after it has been released. The columns are those of
 * functions/azure/record-row.ts; the first seven are what people know the table by.
 */
export const STEPS: readonly string[] = [
  `CREATE TABLE ${TABLE} (
  Id INT IDENTITY(1,1) NOT NULL PRIMARY KEY,
  FileName NVARCHAR(1024) NOT NULL,
  FileSizeKB INT NULL,
  Width INT NULL,
  Height INT NULL,
  Format NVARCHAR(16) NULL,
  UploadedOn DATETIME2(3) NULL,
  ImageKey NVARCHAR(1024) COLLATE Latin1_General_100_BIN2 NOT NULL,
  KeyHash BINARY(32) NOT NULL CONSTRAINT UQ_ImageMetadata_KeyHash UNIQUE,
  UserId NVARCHAR(256) COLLATE Latin1_General_100_BIN2 NULL,
  Status VARCHAR(16) NULL,
  FileSizeBytes BIGINT NULL,
  ColorSpace NVARCHAR(32) NULL,
  HasAlpha BIT NULL,
  Frames INT NULL,
  Orientation INT NULL,
  Exif NVARCHAR(MAX) NULL,
  Sha256 CHAR(64) NULL,
  DominantColor CHAR(7) NULL,
  Thumbhash VARCHAR(64) NULL,
  Variants NVARCHAR(MAX) NULL,
  Tags NVARCHAR(MAX) NULL,
  ProcessedOn DATETIME2(3) NULL,
  FailureCode VARCHAR(32) NULL,
  FailureMessage NVARCHAR(MAX) NULL,
  Sequencer VARCHAR(256) NULL,
  ETag NVARCHAR(256) NULL,
  StartedOn DATETIME2(3) NULL,
  Execution NVARCHAR(256) NULL,
  Previous NVARCHAR(MAX) NULL,
  ExpiresOn DATETIME2(3) NULL,
  Revision CHAR(36) NOT NULL
);
CREATE INDEX byUser ON ${TABLE} (UserId, UploadedOn DESC, Id DESC);
CREATE INDEX byStatus ON ${TABLE} (Status, UploadedOn DESC, Id DESC);
CREATE INDEX byTime ON ${TABLE} (UploadedOn DESC, Id DESC);`,
];
