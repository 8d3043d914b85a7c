// npm dcql: a second opinion on which credentials answer a query, as a wallet asks and as a verifier asks.
import { DcqlPresentationResult, DcqlQuery } from "dcql";

// a credential as our vectors write it -> as this package wants it
function theirs({ format, vct, claims, holder_bound, authority_key_ids }) {
  const type = format === "dc+sd-jwt" ? { vct } : { type: [vct] };
  return {
    credential_format: format, ...type, claims, cryptographic_holder_binding: holder_bound,
    ...(authority_key_ids ? { authority: { type: "aki", values: authority_key_ids } } : {}),
  };
}

function parsed(query) {
  const read = DcqlQuery.parse(query);
  DcqlQuery.validate(read);
  return read;
}

// held: [credential]; answers which of them (by index) meet each credential query, and by which claim set
export async function select({ query, held }) {
  const result = DcqlQuery.query(parsed(query), held.map(theirs));
  const candidates = Object.fromEntries(
    Object.entries(result.credential_matches).map(([id, match]) => [
      id, (match.valid_credentials ?? []).map((found) => found.input_credential_index),
    ]),
  );
  const claimSets = Object.fromEntries(
    Object.entries(result.credential_matches).map(([id, match]) => [
      id, match.valid_credentials?.[0]?.claims.valid_claim_sets?.[0]?.claim_set_index ?? null,
    ]),
  );
  return { candidates, claimSets, canAnswer: result.can_be_satisfied };
}

// presentations: {query id: [credential]} as a verifier has them after it verified each one
export async function match({ query, presentations }) {
  const answer = Object.fromEntries(Object.entries(presentations).map(([id, list]) => [id, list.map(theirs)]));
  return { satisfied: DcqlPresentationResult.fromDcqlPresentation(answer, { dcqlQuery: parsed(query) }).can_be_satisfied };
}
