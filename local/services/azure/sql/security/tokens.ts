/** Who stands behind an access token that is in order: signed by the cloud's identity service, and not over. */
export interface TokenIdentity {
  /** Object id in the directory. */
  objectId: string;
  /** Of an application or a managed identity: its application (client) id. */
  clientId?: string;
  name: string;
  /** Resource that the token was issued for: `https://database.windows.net/`. */
  audience: string;
}

/** Reads a token. `undefined`: it is not one of this cloud's, or not valid any more. */
export type TokenVerifier = (token: string) => TokenIdentity | undefined | Promise<TokenIdentity | undefined>;

/** Finds an identity by its display name, for `CREATE USER … FROM EXTERNAL PROVIDER`. */
export type DirectoryLookup = (
  name: string,
) => { objectId: string; clientId?: string } | undefined | Promise<{ objectId: string; clientId?: string } | undefined>;

/** Resource id of Azure SQL: what clients ask tokens for, and the only audience that a login takes. */
export const SQL_RESOURCE = "https://database.windows.net/";

export function isForSql(audience: string): boolean {
  return audience.replace(/\/+$/, "") === SQL_RESOURCE.replace(/\/+$/, "");
}
