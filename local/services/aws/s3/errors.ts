import { CloudError, type Properties } from "../../../kernel/service.js";

export const noSuchBucket = (bucket: string): CloudError =>
  new CloudError("NoSuchBucket", "The specified bucket does not exist", 404, { BucketName: bucket });

export const noSuchKey = (key: string): CloudError => new CloudError("NoSuchKey", "The specified key does not exist.", 404, { Key: key });

export const noSuchVersion = (key: string, id: string): CloudError =>
  new CloudError("NoSuchVersion", "The specified version does not exist.", 404, { Key: key, VersionId: id });

export const noSuchUpload = (id: string): CloudError =>
  new CloudError(
    "NoSuchUpload",
    "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.",
    404,
    { UploadId: id },
  );

export const accessDenied = (message = "Access Denied"): CloudError => new CloudError("AccessDenied", message, 403);

export const preconditionFailed = (condition: string): CloudError =>
  new CloudError("PreconditionFailed", "At least one of the pre-conditions you specified did not hold", 412, { Condition: condition });

export const invalidArgument = (message: string, name: string, value: unknown): CloudError =>
  new CloudError("InvalidArgument", message, 400, { ArgumentName: name, ArgumentValue: String(value ?? "") });

export const invalidRequest = (message: string): CloudError => new CloudError("InvalidRequest", message);

export const malformedXml = (): CloudError =>
  new CloudError("MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema");

/** What S3 knows and this S3 does not. */
export const notImplemented = (what: string, details: Properties = {}): CloudError =>
  new CloudError("NotImplemented", `A header or parameter you provided implies functionality that is not emulated: ${what}.`, 501, details);
