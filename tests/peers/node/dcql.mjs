// npm dcql: a second opinion on which credentials answer a query.
import { DcqlPresentationResult, DcqlQuery } from "dcql";

// credentials: {query id: [{vct, claims}]} as a verifier has them after it verified each presentation
export async function run({ query, presentations }) {
  const parsed = DcqlQuery.parse(query);
  DcqlQuery.validate(parsed);
  const dcqlPresentation = Object.fromEntries(
    Object.entries(presentations).map(([id, list]) => [
      id,
      list.map(({ vct, claims }) => ({
        credential_format: "dc+sd-jwt", vct, claims, cryptographic_holder_binding: true,
      })),
    ]),
  );
  const result = DcqlPresentationResult.fromDcqlPresentation(dcqlPresentation, { dcqlQuery: parsed });
  return { satisfied: result.can_be_satisfied };
}
