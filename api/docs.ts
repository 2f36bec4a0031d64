import { createReadStream } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { Middleware } from 'koa';
import { PAGE_POLICY } from './middleware/security-headers.ts';

/** Swagger UI's files, from its npm package: the page loads nothing from another host. */
const ASSETS = dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'));

const TYPES: Record<string, string> = {
  'swagger-ui.css': 'text/css',
  'swagger-ui-bundle.js': 'text/javascript',
  'favicon-32x32.png': 'image/png',
};

const PAGE = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Tocsin API</title>
    <link rel="stylesheet" href="/docs/swagger-ui.css">
    <link rel="icon" href="/docs/favicon-32x32.png">
  </head>
  <body>
    <div id="swagger-ui"></div>
    <script src="/docs/swagger-ui-bundle.js"></script>
    <script src="/docs/start.js"></script>
  </body>
</html>
`;

/** validatorUrl null: otherwise the page sends the document's address to Swagger's validator. */
const START = `SwaggerUIBundle({
  url: '/openapi.json',
  dom_id: '#swagger-ui',
  deepLinking: true,
  validatorUrl: null,
});
`;

/** Serves `/openapi.json`, and Swagger UI for it at `/docs`; `/` leads there. */
export function docs(document: string): Middleware {
  return async (ctx, next) => {
    if (ctx.method !== 'GET' && ctx.method !== 'HEAD') return next();
    const [, folder, file, ...rest] = ctx.path.split('/');
    if (ctx.path === '/') ctx.redirect('/docs');
    else if (ctx.path === '/openapi.json') send('application/json', document);
    else if (folder !== 'docs' || rest.length > 0) await next();
    else if (!file) {
      ctx.set('Content-Security-Policy', PAGE_POLICY);
      send('text/html', PAGE);
    } else if (file === 'start.js') send('text/javascript', START);
    else if (Object.hasOwn(TYPES, file)) send(TYPES[file]!, createReadStream(join(ASSETS, file)));
    else await next();

    function send(type: string, body: string | ReturnType<typeof createReadStream>) {
      ctx.body = body;
      ctx.type = type;
    }
  };
}
