/** Messages as sys.messages words them: number → [severity, text]. `%s` are filled in order. */
const MESSAGES: Readonly<Record<number, readonly [severity: number, text: string]>> = {
  102: [15, "Incorrect syntax near '%s'."],
  104: [16, "ORDER BY items must appear in the select list if the statement contains a UNION, INTERSECT or EXCEPT operator."],
  105: [15, "Unclosed quotation mark after the character string '%s'."],
  107: [15, "The column prefix '%s' does not match with a table name or alias name used in the query."],
  108: [15, "The ORDER BY position number %s is out of range of the number of items in the select list."],
  109: [
    15,
    "There are more columns in the INSERT statement than values specified in the VALUES clause. The number of values in the VALUES clause must match the number of columns specified in the INSERT statement.",
  ],
  110: [
    15,
    "There are fewer columns in the INSERT statement than values specified in the VALUES clause. The number of values in the VALUES clause must match the number of columns specified in the INSERT statement.",
  ],
  113: [15, "Missing end comment mark '*/'."],
  116: [16, "Only one expression can be specified in the select list when the subquery is not introduced with EXISTS."],
  120: [
    15,
    "The select list for the INSERT statement contains fewer items than the insert list. The number of SELECT values must match the number of INSERT columns.",
  ],
  121: [
    15,
    "The select list for the INSERT statement contains more items than the insert list. The number of SELECT values must match the number of INSERT columns.",
  ],
  127: [15, "A TOP N or FETCH rowcount value may not be negative."],
  130: [16, "Cannot perform an aggregate function on an expression containing an aggregate or a subquery."],
  148: [15, "Incorrect time syntax in time string '%s' used with WAITFOR."],
  155: [15, "'%s' is not a recognized datepart option."],
  128: [
    15,
    'The name "%s" is not permitted in this context. Valid expressions are constants, constant expressions, and (in some contexts) variables. Column names are not permitted.',
  ],
  134: [15, "The variable name '%s' has already been declared. Variable names must be unique within a query batch or stored procedure."],
  137: [15, 'Must declare the scalar variable "%s".'],
  141: [15, "A SELECT statement that assigns a value to a variable must not be combined with data-retrieval operations."],
  145: [15, "ORDER BY items must appear in the select list if SELECT DISTINCT is specified."],
  147: [
    15,
    "An aggregate may not appear in the WHERE clause unless it is in a subquery contained in a HAVING clause or a select list, and the column being aggregated is an outer reference.",
  ],
  156: [15, "Incorrect syntax near the keyword '%s'."],
  164: [15, "Each GROUP BY expression must contain at least one column that is not an outer reference."],
  174: [15, "The %s function requires %s argument(s)."],
  189: [15, "The %s function requires %s arguments."],
  195: [15, "'%s' is not a recognized built-in function name."],
  201: [16, "Procedure or function '%s' expects parameter '%s', which was not supplied."],
  205: [
    16,
    "All queries combined using a UNION, INTERSECT or EXCEPT operator must have an equal number of expressions in their target lists.",
  ],
  206: [16, "Operand type clash: %s is incompatible with %s"],
  207: [16, "Invalid column name '%s'."],
  208: [16, "Invalid object name '%s'."],
  209: [16, "Ambiguous column name '%s'."],
  213: [16, "Column name or number of supplied values does not match table definition."],
  215: [
    16,
    "Parameters supplied for object '%s' which is not a function. If the parameters are intended as a table hint, a WITH keyword is required.",
  ],
  214: [16, "Procedure expects parameter 'separator' of type 'nchar(1)/nvarchar(1)'."],
  220: [16, "Arithmetic overflow error for data type %s, value = %s."],
  229: [14, "The %s permission was denied on the object '%s', database '%s', schema '%s'."],
  232: [16, "Arithmetic overflow error for type %s, value = %s."],
  241: [16, "Conversion failed when converting date and/or time from character string."],
  242: [16, "The conversion of a %s data type to a %s data type resulted in an out-of-range value."],
  244: [16, "The conversion of the %s value '%s' overflowed an %s column. Use a larger integer column."],
  245: [16, "Conversion failed when converting the %s value '%s' to data type %s."],
  248: [16, "The conversion of the %s value '%s' overflowed an int column."],
  257: [16, "Implicit conversion from data type %s to %s is not allowed. Use the CONVERT function to run this query."],
  262: [14, "%s permission denied in database '%s'."],
  263: [16, "Must specify table to select from."],
  264: [
    16,
    "The column name '%s' is specified more than once in the SET clause or column list of an INSERT. A column cannot be assigned more than one value in the same clause. Modify the clause to make sure that a column is updated only once. If this statement updates or inserts columns into a view, column aliasing can conceal the duplication in your code.",
  ],
  266: [
    16,
    "Transaction count after EXECUTE indicates a mismatching number of BEGIN and COMMIT statements. Previous count = %s, current count = %s.",
  ],
  271: [16, 'The column "%s" cannot be modified because it is either a computed column or is the result of a UNION operator.'],
  281: [16, "%s is not a valid style number when converting from %s to a character string."],
  289: [16, "Cannot construct data type %s, some of the arguments have values which are not valid."],
  293: [16, "Cannot convert char value to money. The char value has incorrect syntax."],
  297: [16, "The user does not have permission to perform this action."],
  334: [
    16,
    "The target table '%s' of the DML statement cannot have any enabled triggers if the statement contains an OUTPUT clause without INTO clause.",
  ],
  402: [16, "The data types %s and %s are incompatible in the %s operator."],
  447: [16, "Expression type %s is invalid for COLLATE clause."],
  448: [16, "Invalid collation '%s'."],
  468: [16, 'Cannot resolve the collation conflict between "%s" and "%s" in the equal to operation.'],
  506: [16, 'The invalid escape character "%s" was specified in a LIKE predicate.'],
  512: [
    16,
    "Subquery returned more than 1 value. This is not permitted when the subquery follows =, !=, <, <= , >, >= or when the subquery is used as an expression.",
  ],
  515: [16, "Cannot insert the value NULL into column '%s', table '%s'; column does not allow nulls. %s fails."],
  517: [16, "Adding a value to a '%s' column caused an overflow."],
  529: [16, "Explicit conversion from data type %s to %s is not allowed."],
  535: [
    16,
    "The %s function resulted in an overflow. The number of dateparts separating two date/time instances is too large. Try to use %s with a less precise datepart.",
  ],
  536: [16, "Invalid length parameter passed to the %s function."],
  537: [16, "Invalid length parameter passed to the LEFT or SUBSTRING function."],
  544: [16, "Cannot insert explicit value for identity column in table '%s' when IDENTITY_INSERT is set to OFF."],
  545: [16, "Explicit value must be specified for identity column in table '%s' when IDENTITY_INSERT is set to ON."],
  547: [16, 'The %s statement conflicted with the %s constraint "%s". The conflict occurred in database "%s", table "%s"%s.'],
  628: [16, "Cannot issue SAVE TRANSACTION when there is no active transaction."],
  911: [16, "Database '%s' does not exist. Make sure that the name is entered correctly."],
  916: [14, 'The server principal "%s" is not able to access the database "%s" under the current security context.'],
  1002: [16, "Line 1: Specified scale %s is invalid."],
  1033: [
    15,
    "The ORDER BY clause is invalid in views, inline functions, derived tables, subqueries, and common table expressions, unless TOP, OFFSET or FOR XML is also specified.",
  ],
  1038: [
    15,
    "An object or column name is missing or empty. For SELECT INTO statements, verify each column has a name. Column %s has none.",
  ],
  1087: [15, 'Must declare the table variable "%s".'],
  1088: [16, 'Cannot find the object "%s" because it does not exist or you do not have permissions.'],
  1205: [
    13,
    "Transaction (Process ID %s) was deadlocked on lock resources with another process and has been chosen as the deadlock victim. Rerun the transaction.",
  ],
  1222: [16, "Lock request time out period exceeded."],
  1505: [
    16,
    "The CREATE UNIQUE INDEX statement terminated because a duplicate key was found for the object name '%s' and the index name '%s'. The duplicate key value is %s.",
  ],
  1750: [16, "Could not create constraint or index. See previous errors."],
  1752: [16, "Column '%s' in table '%s' is invalid for creating a default constraint."],
  1754: [16, "Defaults cannot be created on columns with an IDENTITY attribute. Table '%s', column '%s'."],
  1767: [16, "Foreign key '%s' references invalid table '%s'."],
  1769: [16, "Foreign key '%s' references invalid column '%s' in referencing table '%s'."],
  1770: [16, "Foreign key '%s' references invalid column '%s' in referenced table '%s'."],
  1776: [
    16,
    "There are no primary or candidate keys in the referenced table '%s' that match the referencing column list in the foreign key '%s'.",
  ],
  1779: [16, "Table '%s' already has a primary key defined on it."],
  1781: [16, "Column already has a DEFAULT bound to it."],
  1801: [16, "Database '%s' already exists. Choose a different database name."],
  1908: [16, "Column '%s' is partitioning column of the index '%s'."],
  1911: [16, "Column name '%s' does not exist in the target table or view."],
  1913: [16, "The operation failed because an index or statistics with name '%s' already exists on table '%s'."],
  1919: [16, "Column '%s' in table '%s' is of a type that is invalid for use as a key column in an index."],
  2601: [14, "Cannot insert duplicate key row in object '%s' with unique index '%s'. The duplicate key value is (%s)."],
  2627: [14, "Violation of %s constraint '%s'. Cannot insert duplicate key in object '%s'. The duplicate key value is (%s)."],
  2628: [16, "String or binary data would be truncated in table '%s', column '%s'. Truncated value: '%s'."],
  2705: [16, "Column names in each table must be unique. Column name '%s' in table '%s' is specified more than once."],
  2714: [16, "There is already an object named '%s' in the database."],
  2715: [16, "Column, parameter, or variable #%s: Cannot find data type %s."],
  2716: [16, "Column, parameter, or variable #%s: Cannot specify a column width on data type %s."],
  2717: [15, "The size (%s) given to the %s '%s' exceeds the maximum allowed (%s)."],
  2744: [16, "Multiple identity columns specified for table '%s'. Only one identity column per table is allowed."],
  2749: [
    16,
    "Identity column '%s' must be of data type int, bigint, smallint, tinyint, or decimal or numeric with a scale of 0, unencrypted, and constrained to be nonnullable.",
  ],
  2750: [16, "Column or parameter #%s: Specified column precision %s is greater than the maximum precision of %s."],
  2759: [0, "CREATE SCHEMA failed due to previous errors."],
  2760: [16, 'The specified schema name "%s" either does not exist or you do not have permission to use it.'],
  2812: [16, "Could not find stored procedure '%s'."],
  3609: [16, "The transaction ended in the trigger. The batch has been aborted."],
  3623: [16, "An invalid floating point operation occurred."],
  3701: [11, "Cannot %s the %s '%s', because it does not exist or you do not have permission."],
  3725: [16, "The constraint '%s' is being referenced by table '%s'."],
  3726: [16, "Could not drop object '%s' because it is referenced by a FOREIGN KEY constraint."],
  3728: [16, "'%s' is not a constraint."],
  3729: [16, "Cannot drop schema '%s' because it is being referenced by object '%s'."],
  3902: [16, "The COMMIT TRANSACTION request has no corresponding BEGIN TRANSACTION."],
  3903: [16, "The ROLLBACK TRANSACTION request has no corresponding BEGIN TRANSACTION."],
  3930: [
    16,
    "The current transaction cannot be committed and cannot support operations that write to the log file. Roll back the transaction.",
  ],
  3931: [16, "The current transaction cannot be rolled back to a savepoint because it cannot be committed."],
  3998: [16, "Uncommittable transaction is detected at the end of the batch. The transaction is rolled back."],
  4060: [11, 'Cannot open database "%s" requested by the login. The login failed.'],
  4104: [16, 'The multi-part identifier "%s" could not be bound.'],
  4108: [16, "Windowed functions can only appear in the SELECT or ORDER BY clauses."],
  4109: [16, "Windowed functions cannot be used in the context of another windowed function or aggregate."],
  4112: [16, "The function '%s' must have an OVER clause with ORDER BY."],
  4604: [16, "There is no such user or group as the one that permissions were to be given to or taken from."],
  4613: [16, "Grantor does not have GRANT permission."],
  4701: [16, 'Cannot find the object "%s" because it does not exist or you do not have permissions.'],
  4712: [16, "Cannot truncate table '%s' because it is being referenced by a FOREIGN KEY constraint."],
  4901: [
    16,
    "ALTER TABLE only allows columns to be added that can contain nulls, or have a DEFAULT definition specified, or the column being added is an identity or timestamp column, or alternatively if none of the previous conditions are satisfied the table must be empty to allow addition of this column. Column '%s' cannot be added to non-empty table '%s' because it does not satisfy these conditions.",
  ],
  4902: [16, 'Cannot find the object "%s" because it does not exist or you do not have permissions.'],
  4922: [16, "%s failed because one or more objects access this column."],
  4924: [16, "%s failed because column '%s' does not exist in table '%s'."],
  4928: [16, "Cannot alter column '%s' because it is '%s'."],
  5074: [16, "The %s '%s' is dependent on column '%s'."],
  6401: [16, "Cannot roll back %s. No transaction or savepoint of that name was found."],
  8101: [
    16,
    "An explicit value for the identity column in table '%s' can only be specified when a column list is used and IDENTITY_INSERT is ON.",
  ],
  8102: [16, "Cannot update identity column '%s'."],
  8107: [16, "IDENTITY_INSERT is already ON for table '%s'. Cannot perform SET operation for table '%s'."],
  8106: [16, "Table '%s' does not have the identity property. Cannot perform SET operation."],
  8111: [16, "Cannot define PRIMARY KEY constraint on nullable column in table '%s'."],
  8114: [16, "Error converting data type %s to %s."],
  8115: [16, "Arithmetic overflow error converting %s to data type %s."],
  8116: [16, "Argument data type %s is invalid for argument %s of %s function."],
  8117: [16, "Operand data type %s is invalid for %s operator."],
  8120: [
    16,
    "Column '%s' is invalid in the select list because it is not contained in either an aggregate function or the GROUP BY clause.",
  ],
  8121: [
    16,
    "Column '%s' is invalid in the HAVING clause because it is not contained in either an aggregate function or the GROUP BY clause.",
  ],
  8127: [
    16,
    'Column "%s" is invalid in the ORDER BY clause because it is not contained in either an aggregate function or the GROUP BY clause.',
  ],
  8134: [16, "Divide by zero error encountered."],
  8144: [16, "Procedure or function %s has too many arguments specified."],
  8147: [16, "Could not create IDENTITY attribute on nullable column '%s', table '%s'."],
  8155: [16, "No column name was specified for column %s of '%s'."],
  8156: [16, "The column '%s' was specified multiple times for '%s'."],
  8158: [16, "'%s' has more columns than were specified in the column list."],
  8159: [16, "'%s' has fewer columns than were specified in the column list."],
  8169: [16, "Conversion failed when converting from a character string to uniqueidentifier."],
  8170: [16, "Insufficient result space to convert uniqueidentifier value to char."],
  8178: [16, "The parameterized query '%s' expects the parameter '%s', which was not supplied."],
  8179: [16, "Could not find prepared statement with handle %s."],
  8180: [16, "Statement(s) could not be prepared."],
  8672: [
    16,
    "The MERGE statement attempted to UPDATE or DELETE the same row more than once. This happens when a target row matches more than one source row. A MERGE statement cannot UPDATE/DELETE the same row of the target table multiple times. Refine the ON clause to ensure a target row matches at most one source row, or use the GROUP BY clause to group the source rows.",
  ],
  9420: [16, "XML parsing: illegal xml character"],
  10704: [
    15,
    "To rethrow an error, a THROW statement must be used inside a CATCH block. Insert the THROW statement inside a CATCH block, or add error parameters to the THROW statement.",
  ],
  10709: [16, "The number of columns for each row in a table value constructor must be the same."],
  10711: [15, "An action of type 'INSERT' is allowed only once in the 'WHEN NOT MATCHED' clause of a MERGE statement."],
  10734: [15, "Variable assignment is not allowed in a statement containing a top level UNION, INTERSECT or EXCEPT operator."],
  10753: [15, "The function '%s' must have an OVER clause."],
  10741: [15, "A TOP can not be used in the same query or sub-query as a OFFSET."],
  10742: [15, "The offset specified in a OFFSET clause may not be negative."],
  10744: [15, "The number of rows provided for a FETCH clause must be greater then zero."],
  9810: [16, "The datepart %s is not supported by date function %s for data type %s."],
  13608: [16, "Property cannot be found on the specified JSON path."],
  13609: [16, "JSON text is not properly formatted. Unexpected character '%s' is found at position %s."],
  13607: [16, "JSON path is not properly formatted. Unexpected character '%s' is found at position %s."],
  15007: [16, "'%s' is not a valid login or you do not have permission."],
  15023: [16, "User, group, or role '%s' already exists in the current database."],
  15063: [16, "The login already has an account under a different user name."],
  15144: [16, "The role has members. It must be empty before it can be dropped."],
  15150: [16, "Cannot drop the %s '%s'."],
  15151: [16, "Cannot %s the %s '%s', because it does not exist or you do not have permission."],
  15225: [11, "No item by the name of '%s' could be found in the current database '%s', given that @itemtype was input as '(null)'."],
  15248: [11, "Either the parameter @objname is ambiguous or the claimed @objtype ('%s') is wrong."],
  15335: [11, "Error: The new name '%s' is already in use as a %s name and would cause a duplicate that is not permitted."],
  15247: [16, "User does not have permission to perform this action."],
  15419: [16, "Supplied parameter sid should be binary(16)."],
  15434: [16, "Could not drop login '%s' as the user is currently logged in."],
  18054: [
    16,
    "Error %s, severity %s, state %s was raised, but no message with that error number was found in sys.messages. If error is larger than 50000, make sure the user-defined message is added using sp_addmessage.",
  ],
  18456: [14, "Login failed for user '%s'."],
  33130: [16, "Principal '%s' could not be found or this principal type is not supported."],
  35100: [
    16,
    "Error number %s in the THROW statement is outside the valid range. Specify an error number in the valid range of 50000 to 2147483647.",
  ],
  40508: [16, "USE statement is not supported to switch between databases. Use a new connection to connect to a different database."],
  40515: [15, "Reference to database and/or server name in '%s' is not supported in this version of SQL Server."],
  40615: [
    14,
    "Cannot open server '%s' requested by the login. Client with IP address '%s' is not allowed to access the server.  To enable access, use the Azure Management Portal or run sp_set_firewall_rule on the master database to create a firewall rule for this IP address or address range.  It may take up to five minutes for this change to take effect.",
  ],
  47073: [
    14,
    "An instance-specific error occurred while establishing a connection to SQL Server. Connection was denied since Deny Public Network Access is set to Yes. To connect to this server, use the Private Endpoint from inside your virtual network.",
  ],
};

/** What a statement is answered with when it cannot be done, in the words and numbers of sys.messages. */
export class SqlError extends Error {
  override readonly name = "SqlError";
  /** Line in the batch, from 1; 0 until it is known. */
  line = 0;
  constructor(
    readonly number: number,
    message: string,
    /** 11–16 are the statement's fault, 20 and above end the connection. */
    readonly severity: number,
    readonly state = 1,
    readonly procedure = "",
  ) {
    super(message);
  }
}

/** An error of the catalogue. */
export function sqlError(number: number, ...values: unknown[]): SqlError {
  const [severity, text] = MESSAGES[number] ?? [16, `Error ${number}.`];
  let next = 0;
  return new SqlError(
    number,
    text.replace(/%s/g, () => String(values[next++] ?? "")),
    severity,
    STATES[number] ?? 1,
  );
}

/** States that clients and people look at. */
const STATES: Readonly<Record<number, number>> = { 229: 5, 262: 1, 515: 2, 547: 0, 2601: 1, 2627: 1, 18456: 1, 208: 1, 1222: 56, 2628: 1 };

/** T-SQL that exists, and that the embedded SQL does not do. It never guesses: it says so. */
export function unsupported(near: string, construct: string): SqlError {
  return new SqlError(102, `Incorrect syntax near '${near}'. (The embedded SQL does not support ${construct}.)`, 15);
}

/** Errors after which the rest of the batch is not run (and an open transaction is rolled back where `true`). */
const ENDS_BATCH: ReadonlyMap<number, boolean> = new Map([
  ...[102, 105, 113, 137, 156, 195, 207, 208, 209, 262, 4104, 8120, 8121, 2812, 1087].map((number) => [number, false] as const),
  ...[241, 242, 245, 248, 8114, 8169, 1205, 3930, 13609].map((number) => [number, true] as const),
]);

export function endsBatch({ number, severity }: SqlError): boolean {
  return ENDS_BATCH.has(number) || severity === 15 || severity >= 20;
}

export function rollsBack({ number }: SqlError): boolean {
  return ENDS_BATCH.get(number) ?? false;
}

/** Found while names are resolved: `TRY` of the same batch does not catch these, as it would not there. */
export function isBinding({ number }: SqlError): boolean {
  return [207, 208, 209, 4104, 8120, 8121].includes(number);
}
