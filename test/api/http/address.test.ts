import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { addressesBehind, neighbourhood } from '../../../api/http/address.ts';
import { keyStage } from '../auth/stage.ts';

const from = (remoteAddress: string | undefined, told?: string) =>
  ({
    socket: { remoteAddress },
    headers: told === undefined ? {} : { 'x-forwarded-for': told },
  }) as unknown as IncomingMessage;

describe('the client address of a request', () => {
  it('without trusted proxies the address is that of the connection, whatever the headers say', () => {
    const { of } = addressesBehind([]);
    assert.equal(of(from('203.0.113.9')), '203.0.113.9');
    assert.equal(of(from('203.0.113.9', '127.0.0.1')), '203.0.113.9');
    assert.equal(of(from('::ffff:203.0.113.9', '127.0.0.1')), '203.0.113.9');
    assert.equal(of(from('2001:db8::1')), '2001:db8::1');
    assert.equal(of(from(undefined)), '');
  });

  it('with trusted proxies the address is what they add, not what the client sent to them', () => {
    const { of } = addressesBehind(['10.0.0.0/8', 'fd00::/8', '192.0.2.1']);
    assert.equal(of(from('10.1.2.3', '198.51.100.7')), '198.51.100.7');
    assert.equal(of(from('::ffff:10.1.2.3', '198.51.100.7')), '198.51.100.7');
    assert.equal(
      of(from('10.1.2.3', '127.0.0.1, 10.9.9.9, 198.51.100.7')),
      '198.51.100.7',
      'a forged beginning',
    );
    assert.equal(of(from('10.1.2.3', '198.51.100.7, 192.0.2.1, 10.4.4.4')), '198.51.100.7', 'two of ours');
    assert.equal(of(from('fd12::1', '[2001:db8::5]:443')), '2001:db8::5');
    assert.equal(of(from('10.1.2.3', '198.51.100.7:5123')), '198.51.100.7');
    assert.equal(of(from('203.0.113.9', '198.51.100.7')), '203.0.113.9', 'not through a proxy of ours');
    assert.equal(of(from('10.1.2.3')), '10.1.2.3');
    assert.equal(of(from('10.1.2.3', 'unknown')), '10.1.2.3');
    assert.equal(of(from('10.1.2.3', '198.51.100.7, <script>')), '10.1.2.3');
    assert.equal(of(from('10.1.2.3', '198.51.100.7, 12345')), '10.1.2.3', 'no address as people write one');
    assert.equal(of(from('10.1.2.3', '2001:DB8:0:0:0:0:0:5')), '2001:db8::5', 'in one form');
    assert.equal(of(from('10.1.2.3', '::ffff:c633:6407')), '198.51.100.7', 'IPv4 in IPv6');
  });

  it('all addresses of an IPv6 /64 network count as one', () => {
    assert.equal(neighbourhood('2001:db8:1:2:3::4'), neighbourhood('2001:db8:1:2:ffff::'));
    assert.notEqual(neighbourhood('2001:db8:1:2::1'), neighbourhood('2001:db8:1:3::1'));
    assert.equal(neighbourhood('203.0.113.9'), '203.0.113.9');
    assert.equal(neighbourhood(''), '');
  });

  it('the audit log has the client address', async () => {
    const api = await keyStage({ proxies: ['127.0.0.1'] });
    try {
      const headers = { authorization: `Bearer ${api.root}`, 'x-forwarded-for': '127.0.0.1, 198.51.100.7' };
      assert.equal((await api.call('POST', '/keys', { name: 'one', roles: ['read'] }, headers)).status, 201);
      const { body } = await api.by(api.root, 'GET', '/audit');
      assert.equal(body[0].address, '198.51.100.7');
    } finally {
      await api.close();
    }
  });
});
