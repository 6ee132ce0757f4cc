import { randomBytes, scryptSync, timingSafeEqual } from "node:crypto";
import { type Catalog, type DatabasePrincipal, findPrincipal, findTable, findView, objectName, same } from "../engine/catalog.js";
import { sqlError, unsupported } from "../errors.js";
import type { Environment } from "../translate/environment.js";
import type { Grant, Statement } from "../tsql/ast.js";
import { hex } from "../types/convert.js";
import { GRANTABLE } from "./permissions.js";

type Of<K extends Statement["kind"]> = Extract<Statement, { kind: K }>;

function mayAlter(environment: Environment, what: "USER" | "ROLE"): void {
  if (!environment.permits(`ALTER ANY ${what}`, undefined)) throw sqlError(15247);
}

/** @param found what the directory knows of the name, for FROM EXTERNAL PROVIDER @returns what to put into the catalog @throws SqlError 15023, 15063, 33130 */
export function newUser(
  statement: Of<"create user">,
  environment: Environment,
  now: string,
  sidFromDirectory: string | undefined,
): Omit<DatabasePrincipal, "id"> {
  mayAlter(environment, "USER");
  const { name, sid, type, external, password, schema } = statement;
  if (findPrincipal(environment.catalog, name)) throw sqlError(15023, name);
  if (sid && sid.length !== 16) throw sqlError(15419);
  const own = sid ? hex(sid) : external ? sidFromDirectory : undefined;
  if (external && !own) throw sqlError(33130, name);
  if (own && environment.catalog.principals.some((principal) => principal.sid === own)) throw sqlError(15063);
  return {
    name,
    kind: "user",
    type: password !== undefined ? "S" : type === "X" ? "X" : "E",
    schema: schema ?? "dbo",
    roles: [],
    created: now,
    ...(own ? { sid: own } : {}),
    ...(password !== undefined ? { password: hashed(password), sid: hex(randomBytes(16)) } : {}),
  };
}

function hashed(password: string): { salt: string; hash: string } {
  const salt = randomBytes(16).toString("hex");
  return { salt, hash: scryptSync(password, salt, 32, { N: 1024 }).toString("hex") };
}

export function passwordFits({ password }: DatabasePrincipal, given: string): boolean {
  if (!password) return false;
  return timingSafeEqual(Buffer.from(password.hash, "hex"), scryptSync(given, password.salt, 32, { N: 1024 }));
}

export function alterUser({ name, newName, password, schema }: Of<"alter user">, catalog: Catalog, environment: Environment): void {
  mayAlter(environment, "USER");
  const user = findPrincipal(catalog, name);
  if (user?.kind !== "user" || user.fixed) throw sqlError(15151, "alter", "user", name);
  if (password !== undefined) user.password = hashed(password);
  if (schema) user.schema = schema;
  if (newName) {
    if (findPrincipal(catalog, newName)) throw sqlError(15023, newName);
    for (const entry of catalog.permissions) if (same(entry.principal, user.name)) entry.principal = newName;
    user.name = newName;
  }
}

export function newRole(name: string, environment: Environment, now: string): Omit<DatabasePrincipal, "id"> {
  if (!environment.permits("CREATE ROLE", undefined)) throw sqlError(15247);
  if (findPrincipal(environment.catalog, name)) throw sqlError(15023, name);
  return { name, kind: "role", type: "R", schema: "", roles: [], created: now };
}

export function dropPrincipal(name: string, kind: "user" | "role", ifExists: boolean, catalog: Catalog, environment: Environment): void {
  const principal = findPrincipal(catalog, name);
  if (principal?.kind !== kind) {
    if (ifExists) return;
    throw sqlError(15151, "drop", kind, name);
  }
  mayAlter(environment, kind === "user" ? "USER" : "ROLE");
  if (principal.fixed) throw sqlError(15150, kind, name);
  if (kind === "role" && catalog.principals.some(({ roles }) => roles.some((role) => same(role, name)))) throw sqlError(15144);
  catalog.principals = catalog.principals.filter((candidate) => candidate !== principal);
  catalog.permissions = catalog.permissions.filter((entry) => !same(entry.principal, name));
}

export function changeMember({ role, member, add }: Of<"role member">, catalog: Catalog, environment: Environment): void {
  const [group, principal] = [findPrincipal(catalog, role), findPrincipal(catalog, member)];
  mayAlter(environment, "ROLE");
  if (group?.kind !== "role") throw sqlError(15151, "alter", "role", role);
  if (!principal || same(principal.name, "dbo")) throw sqlError(15151, "add", "principal", member);
  const others = principal.roles.filter((own) => !same(own, group.name));
  principal.roles = add ? [...others, group.name] : others;
}

/** GRANT, DENY and REVOKE. Whoever grants must own the database, or hold the permission with GRANT OPTION. */
export function changePermissions({ action, permissions, on, to, grantOption }: Grant, catalog: Catalog, environment: Environment): void {
  const place = securable(on, catalog, environment);
  const wanted = permissions.flatMap((permission) =>
    permission === "ALL" ? ["SELECT", "INSERT", "UPDATE", "DELETE", "REFERENCES"] : [permission],
  );
  for (const permission of wanted) {
    if (!GRANTABLE.has(permission)) throw unsupported(permission, `the permission ${permission}`);
  }
  for (const name of to) {
    const principal = findPrincipal(catalog, name);
    if (!principal) throw sqlError(15151, "find", "user", name);
    if (principal.fixed && principal.name !== "public") throw sqlError(4604);
    for (const permission of wanted) {
      if (!environment.permits("CONTROL PERMISSIONS", undefined) && !mayPass(catalog, environment, permission, place)) {
        throw on ? sqlError(15151, "find", on.kind === "SCHEMA" ? "schema" : "object", on.name[on.name.length - 1]) : sqlError(4613);
      }
      catalog.permissions = catalog.permissions.filter(
        (entry) =>
          !(
            same(entry.principal, principal.name) &&
            entry.permission === permission &&
            entry.on.kind === place.kind &&
            entry.on.id === place.id
          ),
      );
      if (action !== "REVOKE") catalog.permissions.push({ state: action, grantOption, permission, principal: principal.name, on: place });
    }
  }
}

function mayPass(catalog: Catalog, environment: Environment, permission: string, on: { kind: string; id: number }): boolean {
  const me = String(environment.system("USER_NAME")?.value ?? "");
  return catalog.permissions.some(
    (entry) =>
      entry.grantOption &&
      same(entry.principal, me) &&
      entry.permission === permission &&
      entry.on.kind === on.kind &&
      entry.on.id === on.id,
  );
}

function securable(on: Grant["on"], catalog: Catalog, environment: Environment): { kind: "OBJECT" | "SCHEMA" | "DATABASE"; id: number } {
  if (!on || on.kind === "DATABASE") return { kind: "DATABASE", id: 0 };
  const written = on.name[on.name.length - 1] as string;
  if (on.kind === "SCHEMA") {
    const schema = catalog.schemas.find((candidate) => same(candidate.name, written));
    if (!schema) throw sqlError(15151, "find", "schema", written);
    return { kind: "SCHEMA", id: schema.id };
  }
  const { schema, name } = objectName(on.name, environment.database, environment.defaultSchema);
  const object = findTable(catalog, schema, name) ?? findView(catalog, schema, name);
  if (!object) throw sqlError(15151, "find", "object", written);
  return { kind: "OBJECT", id: object.id };
}
