import { type Catalog, findPrincipal, same } from "../engine/catalog.js";
import { sqlError } from "../errors.js";
import type { Securable } from "../translate/environment.js";

/** What the fixed roles may, beside db_owner, who may everything. */
const FIXED: Readonly<Record<string, readonly string[]>> = {
  db_datareader: ["SELECT"],
  db_datawriter: ["INSERT", "UPDATE", "DELETE"],
  db_ddladmin: ["CREATE TABLE", "CREATE VIEW", "CREATE SCHEMA", "ALTER", "REFERENCES", "VIEW DEFINITION"],
  db_accessadmin: ["ALTER ANY USER", "CREATE SCHEMA"],
  db_securityadmin: ["ALTER ANY ROLE", "CREATE ROLE", "CONTROL PERMISSIONS", "VIEW DEFINITION"],
};
const FIXED_DENIALS: Readonly<Record<string, readonly string[]>> = {
  db_denydatareader: ["SELECT"],
  db_denydatawriter: ["INSERT", "UPDATE", "DELETE"],
};

/** Permissions that a GRANT can be of, here. */
export const GRANTABLE = new Set(
  `SELECT INSERT UPDATE DELETE EXECUTE REFERENCES ALTER CONTROL CONNECT|VIEW DEFINITION|CREATE TABLE|CREATE VIEW|CREATE SCHEMA|CREATE ROLE|ALTER ANY USER|ALTER ANY ROLE|ALTER ANY SCHEMA|TAKE OWNERSHIP|VIEW DATABASE STATE|UNMASK|CREATE PROCEDURE|CREATE FUNCTION|VIEW CHANGE TRACKING|VIEW ANY COLUMN ENCRYPTION KEY DEFINITION|VIEW ANY COLUMN MASTER KEY DEFINITION`
    .split("|")
    .flatMap((part, index) => (index === 0 ? part.split(" ") : [part])),
);

/** The roles that a principal is in, by roles of roles too, and `public`. */
export function rolesOf(catalog: Catalog, name: string): Set<string> {
  const found = new Set<string>(["public"]);
  const visit = (principal: string): void => {
    for (const role of findPrincipal(catalog, principal)?.roles ?? []) {
      if (!found.has(role)) {
        found.add(role);
        visit(role);
      }
    }
  };
  visit(name);
  return found;
}

/** May `user` do this to the object, or to the database as a whole? A DENY anywhere wins over every GRANT. */
export function permits(catalog: Catalog, user: string, permission: string, object?: Securable): boolean {
  const roles = rolesOf(catalog, user);
  if (same(user, "dbo") || roles.has("db_owner")) return true;
  const mine = catalog.permissions.filter(({ principal }) => same(principal, user) || [...roles].some((role) => same(role, principal)));
  const schema = object ? catalog.schemas.find((candidate) => same(candidate.name, object.schema)) : undefined;
  const applies = (on: Catalog["permissions"][number]["on"]): boolean =>
    on.kind === "DATABASE" || (on.kind === "SCHEMA" && on.id === schema?.id) || (on.kind === "OBJECT" && on.id === object?.id);
  const covers = (granted: string): boolean => granted === permission || granted === "CONTROL";
  if ([...roles].some((role) => FIXED_DENIALS[role]?.includes(permission))) return false;
  if (mine.some(({ state, permission: denied, on }) => state === "DENY" && applies(on) && covers(denied))) return false;
  if (permission === "CONNECT") return true;
  if ([...roles].some((role) => FIXED[role]?.includes(permission))) return true;
  return mine.some(({ state, permission: granted, on }) => state === "GRANT" && applies(on) && covers(granted));
}

/** An object is shown to those who may do anything with it. */
export function sees(catalog: Catalog, user: string, object: Securable): boolean {
  return ["SELECT", "INSERT", "UPDATE", "DELETE", "REFERENCES", "ALTER", "VIEW DEFINITION", "EXECUTE"].some((permission) =>
    permits(catalog, user, permission, object),
  );
}

/** @throws SqlError 229 */
export function demand(catalog: Catalog, user: string, permission: string, object: Securable, database: string): void {
  if (!permits(catalog, user, permission, object)) throw sqlError(229, permission, object.name, database, object.schema);
}
