import ipaddr from 'ipaddr.js';

export type Address = ipaddr.IPv4 | ipaddr.IPv6;

/**
 * Parses an address in its usual form; null for anything else. ipaddr.js alone also accepts the forms of
 * inet_aton, in which `10` is 0.0.0.10 and a leading zero means octal: 010.0.0.0 would be 8.0.0.0.
 */
export function parseAddress(text: string): Address | null {
  const isAddress = text.includes(':') ? ipaddr.IPv6.isValid(text) : ipaddr.IPv4.isValidFourPartDecimal(text);
  return isAddress ? ipaddr.process(text) : null;
}

/** Parses an address or a network (`10.0.0.0/8`), as settings list them; null for anything else. */
export function parseNetwork(text: string): [Address, number] | null {
  const [, base = '', length] = /^([^/]*)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const address = parseAddress(base);
  if (!address) return null;
  const longest = address.kind() === 'ipv4' ? 32 : 128;
  if (length === undefined) return [address, longest];
  // IPv4 in IPv6 (::ffff:10.0.0.0/104) becomes IPv4, because addresses are compared as IPv4.
  const bits = Number(length) - (base.includes(':') && longest === 32 ? 96 : 0);
  return bits >= 0 && bits <= longest ? [address, bits] : null;
}
