import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { Context, Middleware } from 'koa';
import { koaSwagger } from 'koa2-swagger-ui';

const require = createRequire(import.meta.url);

/** The folder of Swagger UI's files, in its npm package. The page loads nothing from other hosts. */
const ASSETS = dirname(require.resolve('swagger-ui-dist/package.json'));
const { version } = require('swagger-ui-dist/package.json') as { version: string };

/** The path at which the page finds the files. The version in it lets browsers cache them for ever. */
const FOLDER = `/docs/${version}/`;

/** Files by the names that the page asks for. The package has no minified stylesheet. */
const FILES: Record<string, { file: string; type: string }> = {
  'swagger-ui.min.css': { file: 'swagger-ui.css', type: 'text/css' },
  'swagger-ui-bundle.js': { file: 'swagger-ui-bundle.js', type: 'text/javascript' },
  'swagger-ui-standalone-preset.js': { file: 'swagger-ui-standalone-preset.js', type: 'text/javascript' },
  'favicon-32x32.png': { file: 'favicon-32x32.png', type: 'image/png' },
};

/** Serves `/openapi.json`, and Swagger UI for it at `/docs`. `/` redirects there. */
export function docs(document: string): Middleware {
  const page = koaSwagger({
    title: 'Tocsin API',
    routePrefix: false,
    swaggerCdnUrl: '/docs',
    swaggerVersion: version,
    favicon: `${FOLDER}favicon-32x32.png`,
    hideTopbar: true,
    // With validatorUrl unset, the page would send the document's address to Swagger's validator.
    swaggerOptions: { url: '/openapi.json', deepLinking: true, validatorUrl: null },
  });
  return async (ctx, next) => {
    if (ctx.method !== 'GET' && ctx.method !== 'HEAD') return next();
    if (ctx.path === '/') ctx.redirect('/docs');
    else if (ctx.path === '/openapi.json') send(ctx, 'application/json', document);
    else if (ctx.path === '/docs' || ctx.path === '/docs/') {
      await page(ctx, next);
      const html = withoutOtherHosts(ctx.body as string);
      ctx.set('Content-Security-Policy', policyFor(html));
      send(ctx, 'text/html', html);
    } else {
      const name = ctx.path.startsWith(FOLDER) ? ctx.path.slice(FOLDER.length) : '';
      if (!Object.hasOwn(FILES, name)) return next();
      const { file, type } = FILES[name]!;
      ctx.set('Cache-Control', 'public, max-age=31536000, immutable');
      send(ctx, type, createReadStream(join(ASSETS, file)));
    }
  };
}

function send(ctx: Context, type: string, body: string | ReturnType<typeof createReadStream>): void {
  ctx.body = body;
  ctx.type = type;
  ctx.set('X-Content-Type-Options', 'nosniff');
}

/**
 * Removes links to fonts on other hosts, which the package's page always has. The system's fonts do as well.
 */
function withoutOtherHosts(html: string): string {
  return html
    .replaceAll(/<link\b[^>]*\bhref="(?:https?:)?\/\/[^>]*>\s*/g, '')
    .replaceAll(/ xmlns(?::\w+)?="[^"]*"/g, '');
}

/**
 * The content security policy of the page. It may load from this host only, and run only its own scripts. The
 * inline script is allowed by its hash.
 */
function policyFor(html: string): string {
  const scripts = [...html.matchAll(/<script>([\s\S]*?)<\/script>/g)].map(
    ([, script]) => `'sha256-${createHash('sha256').update(script!).digest('base64')}'`,
  );
  return [
    "default-src 'self'",
    `script-src 'self' ${scripts.join(' ')}`,
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data:",
    "base-uri 'none'",
    "form-action 'none'",
    "object-src 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
}
