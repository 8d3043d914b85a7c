// One https server in this process; issuer and verifier put their routes here. Nothing is logged.
import { createServer } from "node:https";

const routes = new Map();
let server;

export async function start({ cert, key }) {
  server?.close();
  routes.clear();
  server = createServer({ cert, key }, handle);
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  return { url: `https://localhost:${server.address().port}` };
}

// a handler gets {form, json, text, headers, method, url} and returns [status, body, media type?]
export const route = (method, url, handler) => routes.set(`${method} ${new URL(url).pathname}`, handler);

async function handle(request, response) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString();
  const handler = routes.get(`${request.method} ${request.url}`);
  let [status, body, type] = [404, { error: "not_found" }];
  if (handler) {
    try {
      [status, body, type] = await handler({
        text, method: request.method, headers: new Headers(request.headers),
        url: `https://${request.headers.host}${request.url}`,
        get json() { return JSON.parse(text); },
        get form() { return Object.fromEntries(new URLSearchParams(text)); },
      });
    } catch (error) {
      // these packages carry the answer that a server must give inside the error
      [status, body] = [error.status ?? 400, error.errorResponse ?? { error: "server_error", error_description: String(error.message) }];
    }
  }
  const content = body === undefined ? "" : typeof body === "string" ? body : JSON.stringify(body);
  response.writeHead(status, { "content-type": type ?? "application/json", "cache-control": "no-store" }).end(content);
}
