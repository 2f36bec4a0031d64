import assert from 'node:assert/strict';
import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Body } from '../../../../api/http/body/body.ts';
import { KeyedBudget } from '../../../../api/http/body/budget.ts';
import type { Problem } from '../../../../api/http/problem.ts';
import { waitFor } from '../../../support/wait-for.ts';

const MIB = 1 << 20;

describe('the request body', () => {
  it('a body that is read as a stream is released piece by piece', async () => {
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
      new KeyedBudget(32 * MIB),
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

  it('a body is read the same whether it comes with its headers, after them or in parts, and never beyond its limit', async () => {
    const budget = new KeyedBudget(MIB);
    const answers: string[] = [];
    const server = createServer(async (request, response) => {
      const body = new Body(request, budget);
      try {
        answers.push((await body.bytes(10)).toString());
      } catch (error) {
        answers.push(`${(error as Problem).status}`);
      } finally {
        body.release();
        response.end();
      }
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1').setNoDelay(true);
    let sent = 0;
    const ask = async (...parts: string[]) => {
      sent++;
      for (const part of parts) {
        socket.write(part);
        await setImmediate();
      }
      await waitFor(() => answers.length === sent, { what: `the answer to ${parts}` });
    };
    try {
      const head = (length: number) => `POST / HTTP/1.1\r\nhost: x\r\ncontent-length: ${length}\r\n\r\n`;
      const chunked = 'POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n';
      await ask(`${head(5)}whole`);
      await ask(head(5), 'after');
      await ask(`${head(8)}in `, 'parts');
      await ask(`${chunked}5\r\nchunk\r\n2\r\ned\r\n0\r\n\r\n`);
      await ask(`${head(0)}`);
      await ask(`${head(12)}longer by 2!`);
      await ask(`${chunked}c\r\nlonger by 2!\r\n0\r\n\r\n`);
      await ask(`${head(10)}exactly 10`);
      assert.deepEqual(answers, ['whole', 'after', 'in parts', 'chunked', '', '413', '413', 'exactly 10']);
      // All bodies have given their bytes back.
      const whoever = new Body({ headers: {} } as IncomingMessage, budget);
      budget.take(MIB, whoever);
      assert.throws(() => budget.take(1, whoever), /too many requests/);
    } finally {
      socket.destroy();
      server.close();
    }
  });
});
