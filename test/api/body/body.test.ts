import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Body } from '../../../api/body/body.ts';
import { ByteBudget } from '../../../api/body/budget.ts';

const MIB = 1 << 20;

describe('a body', () => {
  it('that is read as it comes is not held on to', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const sent = Readable.from(
      (function* () {
        for (let i = 0; i < 64; i++) yield Buffer.alloc(MIB);
      })(),
      { highWaterMark: 1 },
    );
    const body = new Body(
      Object.assign(sent, { headers: {} }) as unknown as IncomingMessage,
      new ByteBudget(32 * MIB),
    );
    const before = process.memoryUsage().arrayBuffers;
    let size = 0;
    for await (const chunk of body.chunks(1 << 30)) {
      size += chunk.length;
      body.release(chunk.length);
      if (size < 60 * MIB) continue;
      collect();
      assert.ok(process.memoryUsage().arrayBuffers - before < 16 * MIB);
    }
    assert.equal(size, 64 * MIB);
  });
});
