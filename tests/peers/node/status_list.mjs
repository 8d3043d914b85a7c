// npm @sd-jwt/jwt-status-list.
import { StatusList, createHeaderAndPayload, getListFromStatusListJWT } from "@sd-jwt/jwt-status-list";
import { signJwt } from "./keys.mjs";

export async function read({ token, indices }) {
  const list = getListFromStatusListJWT(token);
  return indices.map((index) => list.getStatus(index));
}

export async function make({ statuses, bits, jwk, sub, iat, exp, ttl, header }) {
  const made = createHeaderAndPayload(new StatusList(statuses, bits), { sub, iat, exp, ttl, iss: undefined }, { alg: "ES256", ...header });
  return signJwt(jwk, made.header, JSON.parse(JSON.stringify(made.payload)));
}
