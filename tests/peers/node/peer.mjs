// One long-lived process: a JSON object per line in, a JSON object per line out.
// Each operation is done by an implementation nobody of this project wrote.
import { createInterface } from "node:readline";
import * as dcql from "./dcql.mjs";
import * as federation from "./federation.mjs";
import * as https from "./https.mjs";
import * as sdjwt from "./sdjwt.mjs";
import * as statusList from "./status_list.mjs";
import * as vci from "./vci.mjs";
import * as vciIssuer from "./vci_issuer.mjs";
import * as vp from "./vp.mjs";
import * as vpVerifier from "./vp_verifier.mjs";

const operations = {
  "https.get": async ({ url, accept }) => {
    const response = await fetch(url, { headers: accept ? { accept } : {} });
    return { status: response.status, type: response.headers.get("content-type"), body: await response.text() };
  },
  "dcql.match": dcql.match,
  "dcql.select": dcql.select,
  "federation.configuration": federation.configuration,
  "federation.resolve": federation.resolve,
  "federation.statement": federation.statement,
  "sdjwt.issue": sdjwt.issue,
  "sdjwt.present": sdjwt.present,
  "sdjwt.verify": sdjwt.verify,
  "status_list.read": statusList.read,
  "status_list.make": statusList.make,
  "https.start": https.start,
  "issuer.report": vciIssuer.report,
  "issuer.serve": vciIssuer.serve,
  "vci.metadata": vci.metadata,
  "vci.receive": vci.receive,
  "verifier.ask": vpVerifier.ask,
  "verifier.report": vpVerifier.report,
  "vp.answer": vp.answer,
};

function plain(error) {
  const parts = [];
  for (let e = error; e && parts.length < 5; e = e.cause) parts.push(`${e.name ?? "Error"}: ${e.message ?? e}`);
  return parts.join(" <- ");
}

for await (const line of createInterface({ input: process.stdin })) {
  const { id, op, args } = JSON.parse(line);
  let answer;
  try {
    if (!(op in operations)) throw new Error(`unknown operation ${op}`);
    answer = { id, ok: true, result: await operations[op](args) };
  } catch (error) {
    answer = { id, ok: false, error: plain(error), detail: error?.response ? String(error.responseText ?? "") : undefined };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
}
process.exit(0); // a server may still be listening
