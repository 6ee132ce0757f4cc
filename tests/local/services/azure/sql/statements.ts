/** A batch and what a server answers: the rows of its last result set, how many rows it touched, or its first error. */
export interface StatementCase {
  sql: string;
  rows?: readonly (readonly unknown[])[];
  affected?: number;
  error?: { number: number; message?: string | RegExp };
}

/** Stands for the name of the database, which differs from server to server. */
export const DATABASE = Symbol("the database's name");

/** A small library: nothing of what the product stores. */
export const SCHEMA = [
  `CREATE TABLE dbo.Author (
    Id INT IDENTITY(1,1) NOT NULL CONSTRAINT PK_Author PRIMARY KEY,
    Name NVARCHAR(40) NOT NULL CONSTRAINT UQ_Author_Name UNIQUE,
    Born SMALLINT NULL CONSTRAINT CK_Author_Born CHECK (Born > 0),
    Country CHAR(2) NULL CONSTRAINT DF_Author_Country DEFAULT 'GB'
  )`,
  `CREATE TABLE dbo.Book (
    Id INT NOT NULL CONSTRAINT PK_Book PRIMARY KEY,
    AuthorId INT NULL CONSTRAINT FK_Book_Author REFERENCES dbo.Author (Id),
    Title NVARCHAR(60) NOT NULL,
    Price DECIMAL(8,2) NULL,
    Stock TINYINT NOT NULL CONSTRAINT DF_Book_Stock DEFAULT 0,
    PublishedOn DATE NULL,
    Code AS (CONVERT(VARCHAR(10), Id) + '-' + LEFT(Title, 3))
  )`,
  "CREATE INDEX IX_Book_Title ON dbo.Book (Title DESC) INCLUDE (Price)",
  `INSERT INTO dbo.Author (Name, Born, Country) VALUES (N'Jane Austen', 1775, DEFAULT), (N'Émile Zola', 1840, 'FR'), (N'Ursula K. Le Guin', 1929, 'US'), (N'Anonymous', NULL, NULL)`,
  `INSERT INTO dbo.Book (Id, AuthorId, Title, Price, Stock, PublishedOn) VALUES
    (1, 1, N'Emma', 7.50, 3, '1815-12-23'), (2, 1, N'Persuasion', 8.25, 0, '1817-12-20'), (3, 2, N'Germinal', 9.90, 12, '1885-03-02'),
    (4, 3, N'The Dispossessed', 10.00, 5, '1974-05-01'), (5, 3, N'The Lathe of Heaven', NULL, 1, '1971-10-01'), (6, NULL, N'Beowulf', 4.00, 40, NULL)`,
];

export const STATEMENTS: readonly StatementCase[] = [
  // Selecting
  { sql: "SELECT Name FROM dbo.Author WHERE Name = 'jane AUSTEN  '", rows: [["Jane Austen"]] },
  { sql: "SELECT Name FROM dbo.Author WHERE Name COLLATE Latin1_General_BIN2 = N'jane austen'", rows: [] },
  { sql: "SELECT TOP (2) Title FROM dbo.Book ORDER BY Price DESC", rows: [["The Dispossessed"], ["Germinal"]] },
  {
    sql: "SELECT Title FROM dbo.Book ORDER BY Price",
    rows: [["The Lathe of Heaven"], ["Beowulf"], ["Emma"], ["Persuasion"], ["Germinal"], ["The Dispossessed"]],
  },
  { sql: "SELECT Title FROM dbo.Book ORDER BY Id OFFSET 2 ROWS FETCH NEXT 2 ROWS ONLY", rows: [["Germinal"], ["The Dispossessed"]] },
  { sql: "SELECT DISTINCT UPPER(LEFT(Title, 1)) AS Initial FROM dbo.Book ORDER BY Initial", rows: [["B"], ["E"], ["G"], ["P"], ["T"]] },
  {
    sql: "SELECT b.Title, a.Name FROM dbo.Book AS b JOIN dbo.Author a ON a.Id = b.AuthorId WHERE a.Country = 'FR'",
    rows: [["Germinal", "Émile Zola"]],
  },
  { sql: "SELECT b.Title, a.Name FROM dbo.Book b LEFT JOIN dbo.Author a ON a.Id = b.AuthorId WHERE b.Id = 6", rows: [["Beowulf", null]] },
  {
    sql: "SELECT a.Name, b.Id FROM dbo.Book b RIGHT OUTER JOIN dbo.Author a ON a.Id = b.AuthorId WHERE b.Id IS NULL",
    rows: [["Anonymous", null]],
  },
  {
    sql: "SELECT a.Name, COUNT(b.Id) AS n FROM dbo.Author a FULL JOIN dbo.Book b ON b.AuthorId = a.Id GROUP BY a.Name HAVING COUNT(b.Id) > 1 ORDER BY a.Name",
    rows: [
      ["Jane Austen", 2],
      ["Ursula K. Le Guin", 2],
    ],
  },
  {
    sql: "SELECT Name FROM dbo.Author a WHERE EXISTS (SELECT 1 FROM dbo.Book b WHERE b.AuthorId = a.Id AND b.Stock > 10)",
    rows: [["Émile Zola"]],
  },
  { sql: "SELECT Name FROM dbo.Author WHERE Id NOT IN (SELECT AuthorId FROM dbo.Book WHERE AuthorId IS NOT NULL)", rows: [["Anonymous"]] },
  { sql: "SELECT Title, (SELECT Name FROM dbo.Author WHERE Id = AuthorId) FROM dbo.Book WHERE Id = 3", rows: [["Germinal", "Émile Zola"]] },
  { sql: "SELECT x.n FROM (SELECT COUNT(*) AS n FROM dbo.Book) AS x", rows: [[6]] },
  { sql: "WITH cheap AS (SELECT Title FROM dbo.Book WHERE Price < 8) SELECT COUNT(*) FROM cheap", rows: [[2]] },
  { sql: "WITH n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10) SELECT SUM(i) FROM n", rows: [[55]] },
  { sql: "SELECT Country FROM dbo.Author WHERE Country IS NOT NULL UNION SELECT 'us' ORDER BY Country", rows: [["FR"], ["GB"], ["US"]] },
  { sql: "SELECT Id FROM dbo.Author EXCEPT SELECT AuthorId FROM dbo.Book", rows: [[4]] },
  { sql: "SELECT Id FROM dbo.Author INTERSECT SELECT AuthorId FROM dbo.Book ORDER BY Id DESC", rows: [[3], [2], [1]] },
  {
    sql: "SELECT Title, ROW_NUMBER() OVER (PARTITION BY AuthorId ORDER BY Price DESC) AS r FROM dbo.Book WHERE AuthorId = 1 ORDER BY r",
    rows: [
      ["Persuasion", "1"],
      ["Emma", "2"],
    ],
  },
  {
    sql: "SELECT Id, SUM(CAST(Stock AS INT)) OVER (ORDER BY Id ROWS UNBOUNDED PRECEDING) FROM dbo.Book WHERE Id < 4",
    rows: [
      [1, 3],
      [2, 3],
      [3, 15],
    ],
  },
  {
    sql: "SELECT Id, LAG(Title) OVER (ORDER BY Id) FROM dbo.Book WHERE Id < 3 ORDER BY Id",
    rows: [
      [1, null],
      [2, "Emma"],
    ],
  },
  { sql: "SELECT Code FROM dbo.Book WHERE Id = 4", rows: [["4-The"]] },
  {
    sql: "SELECT v.a, v.b FROM (VALUES (1, N'x'), (2, NULL)) AS v (a, b) ORDER BY a DESC",
    rows: [
      [2, null],
      [1, "x"],
    ],
  },
  { sql: "SELECT STRING_AGG(Title, N', ') WITHIN GROUP (ORDER BY Title) FROM dbo.Book WHERE AuthorId = 1", rows: [["Emma, Persuasion"]] },
  { sql: "SELECT MIN(Name), MAX(Name), COUNT(*), COUNT(Born) FROM dbo.Author", rows: [["Anonymous", "Ursula K. Le Guin", 4, 3]] },
  { sql: "SELECT SUM(Price), AVG(Price), MIN(Price) FROM dbo.Book", rows: [[39.65, 7.93, 4]] },
  { sql: "SELECT AVG(Born) FROM dbo.Author", rows: [[1848]] },
  { sql: "SELECT COUNT(DISTINCT AuthorId) FROM dbo.Book", rows: [[3]] },
  {
    sql: "SELECT CASE WHEN Stock = 0 THEN 'none' WHEN Stock < 5 THEN 'few' ELSE 'many' END FROM dbo.Book ORDER BY Id",
    rows: [["few"], ["none"], ["many"], ["many"], ["few"], ["many"]],
  },
  { sql: "SELECT Title FROM dbo.Book WHERE Title LIKE '%[aeiou]l' OR Title LIKE 'the[ ]d%'", rows: [["Germinal"], ["The Dispossessed"]] },
  { sql: "SELECT Id FROM dbo.Book WHERE Title NOT LIKE N'%e%' ORDER BY Id", rows: [] },
  { sql: "SELECT 1 WHERE '50%' LIKE '50!%' ESCAPE '!' AND 'a_b' NOT LIKE 'a[^_]b'", rows: [[1]] },
  { sql: "SELECT Id FROM dbo.Book WHERE PublishedOn BETWEEN '1817-01-01' AND '1900-01-01' ORDER BY Id", rows: [[2], [3]] },
  { sql: "SELECT Id FROM dbo.Book WHERE Price IN (4, 10.00) ORDER BY Id", rows: [[4], [6]] },
  // Computing
  { sql: "SELECT 7 / 2, 7 % 3, -7 / 2, 7 / 2.0", rows: [[3, 1, -3, 3.5]] },
  { sql: "SELECT 1 + '2', N'a' + 'b', 'x' + NULL", rows: [[3, "ab", null]] },
  {
    sql: "SELECT LEN('abc  '), DATALENGTH(N'abc'), LEFT('hello', 2), RIGHT('hello', 3), SUBSTRING('hello', 2, 3)",
    rows: [[3, 6, "he", "llo", "ell"]],
  },
  {
    sql: "SELECT CHARINDEX('L', 'hello'), REPLACE('aBab', 'b', '-'), STUFF('abcdef', 2, 3, 'X'), REVERSE('abc'), REPLICATE('ab', 2)",
    rows: [[3, "a-a-", "aXef", "cba", "abab"]],
  },
  { sql: "SELECT LTRIM('  a '), RTRIM(' a  '), TRIM('  a '), UPPER('é'), LOWER(N'ÀB')", rows: [["a ", " a", "a", "É", "àb"]] },
  { sql: "SELECT CONCAT('a', NULL, 1), CONCAT_WS('-', 'a', NULL, 'b'), QUOTENAME('a]b')", rows: [["a1", "a-b", "[a]]b]"]] },
  {
    sql: "SELECT ISNULL(NULL, 5), COALESCE(NULL, NULL, 'z'), NULLIF(3, 3), IIF(2 > 1, 'yes', 'no'), CHOOSE(2, 'a', 'b')",
    rows: [[5, "z", null, "yes", "b"]],
  },
  {
    sql: "SELECT CAST('12' AS INT), CAST(12.6 AS INT), CONVERT(VARCHAR(5), 12.50), TRY_CAST('x' AS INT), TRY_CONVERT(DATE, 'no')",
    rows: [[12, 12, "12.50", null, null]],
  },
  {
    sql: "SELECT CAST('hello' AS VARCHAR(3)), CAST(1 AS BIT), CAST('true' AS BIT), CAST(0x0102 AS INT), CONVERT(VARCHAR(10), 0xAB01, 1)",
    rows: [["hel", true, true, 258, "0xAB01"]],
  },
  {
    sql: "SELECT ROUND(2.567, 2), ROUND(15, -1), FLOOR(-1.5), CEILING(1.2), ABS(-3), SIGN(-2.5), POWER(2, 10), SQRT(16)",
    rows: [[2.57, 20, -2, 2, 3, -1, 1024, 4]],
  },
  { sql: "SELECT 5 & 3, 5 | 3, 5 ^ 3, ~5", rows: [[1, 7, 6, -6]] },
  {
    sql: "SELECT YEAR('2024-02-29'), MONTH('2024-02-29'), DAY('2024-02-29'), DATEPART(weekday, '2024-02-29'), DATENAME(month, '2024-02-29')",
    rows: [[2024, 2, 29, 5, "February"]],
  },
  {
    sql: "SELECT CONVERT(VARCHAR(10), DATEADD(month, 1, CAST('2024-01-31' AS DATE)), 120), DATEDIFF(day, '2024-02-28', '2024-03-01'), DATEDIFF(year, '2023-12-31', '2024-01-01')",
    rows: [["2024-02-29", 2, 1]],
  },
  {
    sql: "SELECT CONVERT(VARCHAR(30), CAST('2024-05-01T10:20:30.123' AS DATETIME2(3)), 126), CONVERT(VARCHAR(8), CAST('2024-05-01' AS DATE), 112), CONVERT(CHAR(10), CAST('2024-05-01' AS DATETIME), 103)",
    rows: [["2024-05-01T10:20:30.123", "20240501", "01/05/2024"]],
  },
  {
    sql: "SELECT CONVERT(VARCHAR(10), EOMONTH('2024-02-01'), 23), CONVERT(VARCHAR(10), DATEFROMPARTS(2024, 12, 24), 23)",
    rows: [["2024-02-29", "2024-12-24"]],
  },
  {
    sql: "SELECT CONVERT(VARCHAR(64), HASHBYTES('SHA2_256', 'abc'), 2)",
    rows: [["BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD"]],
  },
  {
    sql: `SELECT JSON_VALUE('{"a":{"b":[1,"two"]}}', '$.a.b[1]'), JSON_QUERY('{"a":[1]}', '$.a'), ISJSON('{"a":1}'), ISJSON('nope')`,
    rows: [["two", "[1]", 1, 0]],
  },
  {
    sql: `SELECT [key], value, type FROM OPENJSON(N'{"a":1,"b":"x","c":null}')`,
    rows: [
      ["a", "1", 2],
      ["b", "x", 1],
      ["c", null, 0],
    ],
  },
  {
    sql: `SELECT t, n FROM OPENJSON('[{"t":"a","n":1},{"t":"b"}]') WITH (t NVARCHAR(10), n INT) ORDER BY t`,
    rows: [
      ["a", 1],
      ["b", null],
    ],
  },
  { sql: "SELECT value FROM STRING_SPLIT('a,b,c', ',') ORDER BY value DESC", rows: [["c"], ["b"], ["a"]] },
  {
    sql: `SELECT b.Id, j.value FROM dbo.Book b CROSS APPLY OPENJSON('[' + CAST(b.Stock AS VARCHAR(3)) + ',0]') j WHERE b.Id = 1`,
    rows: [
      [1, "3"],
      [1, "0"],
    ],
  },
  {
    sql: "SELECT DB_NAME(DB_ID()), SCHEMA_NAME(SCHEMA_ID('dbo')), OBJECT_NAME(OBJECT_ID('dbo.Book')), COL_LENGTH('dbo.Book', 'Title')",
    rows: [[DATABASE, "dbo", "Book", 120]],
  },
  {
    sql: "SELECT TRANSLATE('2*[3+4]', '[]', '()'), ASCII('A'), CHAR(66), UNICODE(N'é'), NCHAR(233)",
    rows: [["2*(3+4)", 65, "B", 233, "é"]],
  },
  // Changing
  { sql: "INSERT INTO dbo.Book (Id, Title) VALUES (10, N'A'), (11, N'B')", affected: 2 },
  {
    sql: "INSERT INTO dbo.Book (Id, Title) OUTPUT inserted.Id, inserted.Stock, inserted.Code VALUES (10, N'Alpha')",
    rows: [[10, 0, "10-Alp"]],
  },
  {
    sql: "INSERT INTO dbo.Book (Id, Title, Price) SELECT Id + 100, Title + N' II', Price * 2 FROM dbo.Book WHERE Price IS NOT NULL; SELECT COUNT(*), MAX(Price) FROM dbo.Book WHERE Id > 100",
    rows: [[5, 20]],
  },
  {
    sql: "INSERT INTO dbo.Author (Name) VALUES (N'New'); SELECT Country, Born FROM dbo.Author WHERE Id = SCOPE_IDENTITY()",
    rows: [["GB", null]],
  },
  {
    sql: "SET IDENTITY_INSERT dbo.Author ON; INSERT INTO dbo.Author (Id, Name) VALUES (100, N'X'); SET IDENTITY_INSERT dbo.Author OFF; SELECT Name FROM dbo.Author WHERE Id = 100",
    rows: [["X"]],
  },
  { sql: "UPDATE dbo.Book SET Stock += 1, Price = Price - 0.5 WHERE AuthorId = 1; SELECT @@ROWCOUNT", rows: [[2]] },
  {
    sql: "UPDATE b SET Title = a.Name OUTPUT deleted.Title, inserted.Title FROM dbo.Book b JOIN dbo.Author a ON a.Id = b.AuthorId WHERE a.Country = 'FR'",
    rows: [["Germinal", "Émile Zola"]],
  },
  {
    sql: "UPDATE dbo.Book SET Id = CASE Id WHEN 1 THEN 2 WHEN 2 THEN 1 END WHERE Id IN (1, 2); SELECT Title FROM dbo.Book WHERE Id = 1",
    rows: [["Persuasion"]],
  },
  { sql: "DELETE FROM dbo.Book OUTPUT deleted.Title WHERE Stock = 0", rows: [["Persuasion"]] },
  { sql: "DELETE b FROM dbo.Book b JOIN dbo.Author a ON a.Id = b.AuthorId WHERE a.Name LIKE 'Urs%'; SELECT @@ROWCOUNT", rows: [[2]] },
  { sql: "DELETE TOP (1) FROM dbo.Book WHERE AuthorId = 3; SELECT COUNT(*) FROM dbo.Book WHERE AuthorId = 3", rows: [[1]] },
  {
    sql: `MERGE dbo.Author WITH (HOLDLOCK) AS t USING (VALUES (N'jane austen', 1776), (N'Dante', 1265)) AS s (Name, Born) ON t.Name = s.Name
      WHEN MATCHED THEN UPDATE SET Born = s.Born WHEN NOT MATCHED THEN INSERT (Name, Born) VALUES (s.Name, s.Born);
      SELECT Name, Born FROM dbo.Author WHERE Born IN (1776, 1265) ORDER BY Born`,
    rows: [
      ["Dante", 1265],
      ["Jane Austen", 1776],
    ],
  },
  {
    sql: `MERGE dbo.Book AS t USING (SELECT 1 AS Id) AS s ON t.Id = s.Id WHEN MATCHED AND t.Stock > 100 THEN DELETE WHEN MATCHED THEN UPDATE SET Stock = 9
      WHEN NOT MATCHED BY SOURCE AND t.Id > 4 THEN DELETE OUTPUT $action, deleted.Id;`,
    rows: [
      ["UPDATE", 1],
      ["DELETE", 5],
      ["DELETE", 6],
    ],
  },
  {
    sql: "SELECT Id, Title INTO dbo.Copy FROM dbo.Book WHERE Id < 3; SELECT COUNT(*), MAX(Title) FROM dbo.Copy",
    rows: [[2, "Persuasion"]],
  },
  // Control
  {
    sql: "DECLARE @i INT = 0, @s VARCHAR(20) = ''; WHILE @i < 5 BEGIN SET @i += 1; IF @i = 2 CONTINUE; IF @i = 4 BREAK; SET @s = @s + CAST(@i AS VARCHAR(2)); END; SELECT @s",
    rows: [["13"]],
  },
  {
    sql: "DECLARE @a NVARCHAR(40), @n INT; SELECT @a = Name, @n = Born FROM dbo.Author WHERE Id = 2; SELECT @a, @n",
    rows: [["Émile Zola", 1840]],
  },
  {
    sql: "IF NOT EXISTS (SELECT 1 FROM sys.columns WHERE object_id = OBJECT_ID(N'dbo.Book') AND name = 'Pages') BEGIN ALTER TABLE dbo.Book ADD Pages INT NULL END; EXEC('UPDATE dbo.Book SET Pages = 1 WHERE Id = 1'); SELECT COUNT(*) FROM sys.columns WHERE object_id = OBJECT_ID('dbo.Book') AND name = 'pages'",
    rows: [[1]],
  },
  { sql: "IF OBJECT_ID(N'dbo.Nothing', N'U') IS NULL SELECT 'absent' ELSE SELECT 'there'", rows: [["absent"]] },
  {
    sql: "BEGIN TRY SELECT 1 / 0; END TRY BEGIN CATCH SELECT ERROR_NUMBER(), ERROR_MESSAGE(), ERROR_LINE(); END CATCH",
    rows: [[8134, "Divide by zero error encountered.", 1]],
  },
  {
    sql: "BEGIN TRY THROW 50001, 'mine', 3; END TRY BEGIN CATCH SELECT ERROR_NUMBER(), ERROR_STATE(), ERROR_SEVERITY(); END CATCH",
    rows: [[50001, 3, 16]],
  },
  {
    sql: "BEGIN TRAN; SAVE TRAN here; DELETE FROM dbo.Book; ROLLBACK TRAN here; SELECT COUNT(*), @@TRANCOUNT FROM dbo.Book; COMMIT",
    rows: [[6, 2]],
  },
  { sql: "EXEC sp_executesql N'SELECT Title FROM dbo.Book WHERE Id = @id', N'@id INT', @id = 6", rows: [["Beowulf"]] },
  {
    sql: "DECLARE @n INT; EXEC sp_executesql N'SELECT @out = COUNT(*) FROM dbo.Book', N'@out INT OUTPUT', @out = @n OUTPUT; SELECT @n",
    rows: [[6]],
  },
  // Defining
  {
    sql: "CREATE TABLE dbo.T (A INT NOT NULL, B INT NOT NULL, CONSTRAINT PK_T PRIMARY KEY (A, B)); INSERT dbo.T VALUES (1, 1), (1, 2); SELECT COUNT(*) FROM dbo.T",
    rows: [[2]],
  },
  {
    sql: "ALTER TABLE dbo.Author ADD Died INT NULL, Alive BIT NOT NULL CONSTRAINT DF_Alive DEFAULT 0; EXEC('SELECT Alive, Died FROM dbo.Author WHERE Id = 1')",
    rows: [[false, null]],
  },
  {
    sql: "ALTER TABLE dbo.Book ALTER COLUMN Title NVARCHAR(80) NOT NULL; SELECT CHARACTER_MAXIMUM_LENGTH FROM INFORMATION_SCHEMA.COLUMNS WHERE TABLE_NAME = 'Book' AND COLUMN_NAME = 'Title'",
    rows: [[80]],
  },
  {
    sql: "EXEC('CREATE VIEW dbo.Cheap AS SELECT Title, Price FROM dbo.Book WHERE Price < 8'); EXEC('SELECT COUNT(*) FROM dbo.Cheap')",
    rows: [[2]],
  },
  {
    sql: "CREATE UNIQUE INDEX UX ON dbo.Author (Country) WHERE Country = 'FR'; SELECT is_unique, has_filter FROM sys.indexes WHERE name = 'UX'",
    rows: [[true, true]],
  },
  {
    sql: "ALTER TABLE dbo.Book DROP CONSTRAINT FK_Book_Author; INSERT INTO dbo.Book (Id, AuthorId, Title) VALUES (7, 99, N'Lost')",
    affected: 1,
  },
  { sql: "SELECT name FROM sys.tables WHERE schema_id = SCHEMA_ID('dbo') ORDER BY name", rows: [["Author"], ["Book"]] },
  {
    sql: "SELECT k.name, k.type FROM sys.key_constraints k JOIN sys.tables t ON t.object_id = k.parent_object_id WHERE t.name = 'Author' ORDER BY k.name",
    rows: [
      ["PK_Author", "PK"],
      ["UQ_Author_Name", "UQ"],
    ],
  },
  { sql: "DROP TABLE IF EXISTS dbo.Never; DROP TABLE dbo.Book; SELECT OBJECT_ID('dbo.Book')", rows: [[null]] },
  // Refusing
  { sql: "SELECT * FROM dbo.Nowhere", error: { number: 208, message: "Invalid object name 'dbo.Nowhere'." } },
  { sql: "SELECT Weight FROM dbo.Book", error: { number: 207, message: "Invalid column name 'Weight'." } },
  { sql: "SELECT x.Id FROM dbo.Book b", error: { number: 4104, message: 'The multi-part identifier "x.Id" could not be bound.' } },
  {
    sql: "SELECT Id FROM dbo.Book b JOIN dbo.Author a ON a.Id = b.AuthorId",
    error: { number: 209, message: "Ambiguous column name 'Id'." },
  },
  {
    sql: "SELECT Title, COUNT(*) FROM dbo.Book GROUP BY AuthorId",
    error: { number: 8120, message: /'dbo\.Book\.Title' is invalid in the select list/ },
  },
  { sql: "SELEC 1", error: { number: 2812 } },
  { sql: "SELECT 1 FROM", error: { number: 102 } },
  { sql: "SELECT FROM dbo.Book", error: { number: 156, message: "Incorrect syntax near the keyword 'FROM'." } },
  { sql: "SELECT 'open", error: { number: 105, message: /^Unclosed quotation mark/ } },
  { sql: "SELECT @nobody", error: { number: 137, message: 'Must declare the scalar variable "@nobody".' } },
  {
    sql: "INSERT INTO dbo.Author (Name) VALUES (N'JANE AUSTEN')",
    error: {
      number: 2627,
      message:
        "Violation of UNIQUE KEY constraint 'UQ_Author_Name'. Cannot insert duplicate key in object 'dbo.Author'. The duplicate key value is (JANE AUSTEN).",
    },
  },
  {
    sql: "INSERT INTO dbo.Book (Id, Title) VALUES (1, N'Again')",
    error: {
      number: 2627,
      message:
        "Violation of PRIMARY KEY constraint 'PK_Book'. Cannot insert duplicate key in object 'dbo.Book'. The duplicate key value is (1).",
    },
  },
  {
    sql: "CREATE UNIQUE INDEX UX ON dbo.Book (Title); INSERT INTO dbo.Book (Id, Title) VALUES (9, N'emma')",
    error: {
      number: 2601,
      message: "Cannot insert duplicate key row in object 'dbo.Book' with unique index 'UX'. The duplicate key value is (emma).",
    },
  },
  { sql: "CREATE UNIQUE INDEX UX ON dbo.Book (AuthorId)", error: { number: 1505, message: /The duplicate key value is \(1\)\.$/ } },
  {
    sql: "INSERT INTO dbo.Author (Name, Born) VALUES (N'Nobody', -1)",
    error: {
      number: 547,
      message:
        /^The INSERT statement conflicted with the CHECK constraint "CK_Author_Born"\. The conflict occurred in database "[^"]+", table "dbo\.Author", column 'Born'\.$/,
    },
  },
  {
    sql: "INSERT INTO dbo.Book (Id, AuthorId, Title) VALUES (7, 99, N'x')",
    error: {
      number: 547,
      message:
        /^The INSERT statement conflicted with the FOREIGN KEY constraint "FK_Book_Author"\. The conflict occurred in database "[^"]+", table "dbo\.Author", column 'Id'\.$/,
    },
  },
  {
    sql: "DELETE FROM dbo.Author WHERE Id = 1",
    error: {
      number: 547,
      message:
        /^The DELETE statement conflicted with the REFERENCE constraint "FK_Book_Author"\. The conflict occurred in database "[^"]+", table "dbo\.Book", column 'AuthorId'\.$/,
    },
  },
  {
    sql: "INSERT INTO dbo.Author (Born) VALUES (1900)",
    error: {
      number: 515,
      message:
        /^Cannot insert the value NULL into column 'Name', table '[^']+\.dbo\.Author'; column does not allow nulls\. INSERT fails\.$/,
    },
  },
  { sql: "UPDATE dbo.Book SET Title = NULL", error: { number: 515, message: /UPDATE fails\.$/ } },
  {
    sql: "UPDATE dbo.Author SET Name = REPLICATE(N'n', 41) WHERE Id = 1",
    error: {
      number: 2628,
      message: /^String or binary data would be truncated in table '[^']+\.dbo\.Author', column 'Name'\. Truncated value: 'n{40}'\.$/,
    },
  },
  {
    sql: "UPDATE dbo.Book SET Stock = 256",
    error: { number: 220, message: "Arithmetic overflow error for data type tinyint, value = 256." },
  },
  {
    sql: "UPDATE dbo.Book SET Price = 1234567.89",
    error: { number: 8115, message: "Arithmetic overflow error converting numeric to data type numeric." },
  },
  {
    sql: "SELECT 2147483647 + Id FROM dbo.Book",
    error: { number: 8115, message: "Arithmetic overflow error converting expression to data type int." },
  },
  { sql: "SELECT Id / (Stock - Stock) FROM dbo.Book", error: { number: 8134, message: "Divide by zero error encountered." } },
  {
    sql: "SELECT * FROM dbo.Book WHERE Id = 'one'",
    error: { number: 245, message: "Conversion failed when converting the varchar value 'one' to data type int." },
  },
  {
    sql: "SELECT CAST('2024-02-30' AS DATE)",
    error: { number: 241, message: "Conversion failed when converting date and/or time from character string." },
  },
  { sql: "SELECT CAST('no' AS UNIQUEIDENTIFIER)", error: { number: 8169 } },
  { sql: "SELECT CAST('1x' AS DECIMAL(5,2))", error: { number: 8114, message: "Error converting data type varchar to numeric." } },
  { sql: "SELECT (SELECT Id FROM dbo.Book)", error: { number: 512 } },
  { sql: "SELECT (SELECT Id, Title FROM dbo.Book WHERE Id = 1)", error: { number: 116 } },
  {
    sql: "INSERT INTO dbo.Author (Id, Name) VALUES (50, N'x')",
    error: {
      number: 544,
      message: "Cannot insert explicit value for identity column in table 'Author' when IDENTITY_INSERT is set to OFF.",
    },
  },
  { sql: "UPDATE dbo.Author SET Id = 9", error: { number: 8102 } },
  { sql: "UPDATE dbo.Book SET Code = 'x'", error: { number: 271 } },
  { sql: "INSERT INTO dbo.Book (Id, Title) VALUES (1)", error: { number: 109 } },
  { sql: "CREATE TABLE dbo.Book (Id INT)", error: { number: 2714, message: "There is already an object named 'Book' in the database." } },
  { sql: "DROP TABLE dbo.Author", error: { number: 3726 } },
  { sql: "DROP TABLE dbo.Never", error: { number: 3701 } },
  { sql: "ALTER TABLE dbo.Book DROP COLUMN Title", error: { number: 5074 } },
  { sql: "ALTER TABLE dbo.Book ADD Isbn VARCHAR(13) NOT NULL", error: { number: 4901 } },
  {
    sql: "ALTER TABLE dbo.Book ADD CONSTRAINT CK_Price CHECK (Price > 5)",
    error: { number: 547, message: /^The ALTER TABLE statement conflicted with the CHECK constraint "CK_Price"/ },
  },
  {
    sql: "MERGE dbo.Book AS t USING (VALUES (1), (1)) AS s (Id) ON t.Id = s.Id WHEN MATCHED THEN UPDATE SET Stock = 1;",
    error: { number: 8672 },
  },
  { sql: "SELECT NOSUCH(1)", error: { number: 195, message: /'NOSUCH' is not a recognized/ } },
  { sql: "SELECT Name FROM dbo.Author ORDER BY Id DESC OFFSET -1 ROWS", error: { number: 10742 } },
  { sql: "THROW 50505, N'it is so', 7", error: { number: 50505, message: "it is so" } },
  { sql: "RAISERROR('%s has %d', 16, 1, 'it', 3)", error: { number: 50000, message: "it has 3" } },
  { sql: "EXEC dbo.NoProcedure", error: { number: 2812, message: "Could not find stored procedure 'dbo.NoProcedure'." } },
];
