// Another open verifier behind the same kind of endpoint, for `make bench`: npm @openid4vc/openid4vp,
// @sd-jwt/sd-jwt-vc, dcql and jose, as `make peers` installs them. The server around them is ours.
//
// It does: decrypt with the request's own key, compare state, parse the answer as OpenID4VP, check the chain of
// x5c below the root (two signatures), the issuer's signature, disclosures, key binding (signature, nonce, sd_hash,
// audience), exp, the status in a list that is in memory (verified anew for each answer, as the package does), the
// DCQL query, and mark the request as answered in memory.
// It does not: read its session from a database or store anything durably, look up the issuer's authority, check
// constraints and dates of certificates, refuse duplicate JSON members, judge any rule, or audit.
import { createServer } from "node:http";
import { readFileSync } from "node:fs";
import { compactDecrypt, decodeProtectedHeader, importJWK } from "jose";
import { Openid4vpVerifier } from "@openid4vc/openid4vp";
import { callbacks } from "./callbacks.mjs";
import { publicOf } from "./keys.mjs";
import * as dcql from "./dcql.mjs";
import * as sdjwt from "./sdjwt.mjs";

const [config, descriptor] = process.argv.slice(2);
const { root, now, statusToken, requests } = JSON.parse(readFileSync(config, "utf8"));
const sessions = new Map(requests.map((request) => [request.kid, request]));
const vp = new Openid4vpVerifier({ callbacks: callbacks({}) });

async function receive(form) {
  const session = sessions.get(decodeProtectedHeader(form.response).kid);
  if (!session || session.answered) throw new Error("no such request");
  const decryptJwe = async (jwe) => {
    const { plaintext } = await compactDecrypt(jwe, await importJWK(session.key, "ECDH-ES"));
    return { decrypted: true, decryptionJwk: publicOf(session.key), payload: new TextDecoder().decode(plaintext) };
  };
  const parsed = await vp.parseOpenid4vpAuthorizationResponse({
    authorizationResponse: form, authorizationRequestPayload: session.payload,
    callbacks: { ...callbacks({}), decryptJwe },
  });
  const presentations = {};
  for (const [id, tokens] of Object.entries(parsed.dcql.presentations)) {
    presentations[id] = await Promise.all(tokens.map(async (token) => {
      const { payload: claims, kb } = await sdjwt.verify({ token, root, nonce: session.payload.nonce, now, statusToken });
      if (kb.aud !== session.payload.client_id) throw new Error("wrong audience");
      return { format: "dc+sd-jwt", vct: claims.vct, claims, holder_bound: true };
    }));
  }
  const result = await dcql.match({ query: session.payload.dcql_query, presentations });
  if (!result.satisfied) throw new Error("the query is not met");
  session.answered = true;
}

createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  let status = 200;
  if (request.method === "POST") {
    try {
      await receive(Object.fromEntries(new URLSearchParams(Buffer.concat(chunks).toString())));
    } catch (error) {
      status = 400;
      console.error(error);
    }
  }
  response.writeHead(status, { "content-type": "application/json", "content-length": 2, "cache-control": "no-store" }).end("{}");
}).listen({ fd: Number(descriptor) });
