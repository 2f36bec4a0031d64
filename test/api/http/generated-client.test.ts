import { join } from 'node:path';
import openapiTS, { astToString } from 'openapi-typescript';
import { OPENAPI_FETCH_CLIENT } from '../../clients/openapi-fetch-client.ts';
import { compile, removeCompiled, run } from '../../clients/typescript.ts';
import { type Stage, stage } from '../stage.ts';

describe('a TypeScript client generated from the OpenAPI document', () => {
  let api: Stage;
  before(async () => {
    api = await stage();
  });
  after(() => api.close());

  it('the client compiles with strict types, filters events and changes rules', async () => {
    const types = astToString(await openapiTS((await api.get('/openapi.json')).body));
    const place = await compile('openapi-fetch', { 'api.d.ts': types, 'client.ts': OPENAPI_FETCH_CLIENT });
    try {
      await run(process.execPath, [join(place, 'client.js')], { env: { API: api.url } });
    } finally {
      removeCompiled(place);
    }
  });
});
