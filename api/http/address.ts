import type { IncomingMessage } from 'node:http';
import ipaddr from 'ipaddr.js';
import { parseAddress, parseNetwork } from '../../domain/network.ts';

/** Finds the addresses that requests come from. */
export interface Addresses {
  /** The client's address, as trusted proxies report it; '' once the connection is closed. */
  of(request: IncomingMessage): string;
  /** True if the other end of the connection is one of our proxies. */
  isProxy(request: IncomingMessage): boolean;
}

/**
 * Makes a reader of client addresses. It uses `X-Forwarded-For` only if the request comes from one of our
 * proxies. It reads the header from its end, because our own proxy wrote that, and stops at the first address
 * that is not ours: anything before it may be forged.
 * @param proxies addresses and networks
 */
export function addressesBehind(proxies: readonly string[]): Addresses {
  const networks = proxies.map((text) => {
    const network = parseNetwork(text);
    if (!network) throw new Error(`${text} is not an address or a network`);
    return network;
  });
  const trusted = (address: string) => {
    const parsed = parseAddress(address);
    if (!parsed) return false;
    return networks.some(
      ([network, bits]) => parsed.kind() === network.kind() && parsed.match(network, bits),
    );
  };
  const peerOf = ({ socket }: IncomingMessage) => plain(socket.remoteAddress ?? '');
  if (networks.length === 0) return { of: peerOf, isProxy: () => false };
  return {
    of(request) {
      let address = peerOf(request);
      const told = String(request.headers['x-forwarded-for'] ?? '').split(',');
      while (trusted(address)) {
        const before = parseAddress(plain(told.pop()?.trim() ?? ''));
        if (!before) break;
        address = before.toString();
      }
      return address;
    },
    isProxy: (request) => trusted(peerOf(request)),
  };
}

/**
 * Normalizes an address: an IPv4-mapped one becomes IPv4; brackets and port, which some proxies add, are
 * removed.
 */
function plain(address: string): string {
  if (/^::ffff:\d+\./.test(address)) return address.slice('::ffff:'.length);
  return address.replace(/^\[(.*)\](?::\d+)?$/, '$1').replace(/^(\d+\.\d+\.\d+\.\d+):\d+$/, '$1');
}

/**
 * The part of an address that identifies a client. For IPv6 it is the /64 network, because its user has all
 * addresses in it.
 */
export function neighbourhood(address: string): string {
  if (!address.includes(':') || !ipaddr.IPv6.isValid(address)) return address;
  const parts = ipaddr.IPv6.parse(address).parts.slice(0, 4);
  return `${parts.map((part) => part.toString(16)).join(':')}::/64`;
}
