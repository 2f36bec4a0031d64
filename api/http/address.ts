import type { IncomingMessage } from 'node:http';
import ipaddr from 'ipaddr.js';
import { parseAddress, parseNetwork } from '../../domain/network.ts';

/** Where requests come from. */
export interface Addresses {
  /**
   * The client's address, as far as those in between are trusted to tell it; '' once its connection is gone.
   */
  of(request: IncomingMessage): string;
  /** Whether whoever connects to us is one of our proxies. */
  isProxy(request: IncomingMessage): boolean;
}

/**
 * Reads the addresses of requests. What a request says of itself (`X-Forwarded-For`) counts only where it
 * comes from a proxy of ours; it is read from its end, which our own proxy wrote, and no further than the
 * first address that is none of ours: before that anybody may have written anything.
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

/** IPv4 as IPv4, and without brackets and port, which some proxies add. */
function plain(address: string): string {
  if (/^::ffff:\d+\./.test(address)) return address.slice('::ffff:'.length);
  return address.replace(/^\[(.*)\](?::\d+)?$/, '$1').replace(/^(\d+\.\d+\.\d+\.\d+):\d+$/, '$1');
}

/** Whoever has one address of an IPv6 network of 64 bits has them all: they count as one. */
export function neighbourhood(address: string): string {
  if (!address.includes(':') || !ipaddr.IPv6.isValid(address)) return address;
  const parts = ipaddr.IPv6.parse(address).parts.slice(0, 4);
  return `${parts.map((part) => part.toString(16)).join(':')}::/64`;
}
