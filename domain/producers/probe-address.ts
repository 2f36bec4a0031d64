import ipaddr from 'ipaddr.js';
import type { Address } from '../network.ts';

export type Network = [Address, number];

const networks = (...ranges: string[]): Network[] => ranges.map((range) => ipaddr.parseCIDR(range));

/**
 * Addresses that answer with a machine's own credentials, and link-local ones, where most of them live: never
 * asked, whatever is allowed. Sources: the metadata services' documentation of AWS, GCP, Azure, Alibaba,
 * Oracle, Scaleway, Akamai and Vultr.
 */
const METADATA = networks(
  '169.254.0.0/16',
  '100.100.100.200/32',
  '192.0.0.192/32',
  '168.63.129.16/32',
  'fe80::/10',
  'fd00:ec2::/32',
  'fd20:ce::254/128',
  'fd00:c1::a9fe:a9fe/128',
  'fd00:42::42/128',
  'fd00:a9fe:a9fe::/48',
  '2001:19f0:fc00::a9fe:a9fe/128',
  // Local-use NAT64 (RFC 8215): where the IPv4 address is in it, only its network knows.
  '64:ff9b:1::/48',
);

/** What `private` stands for in a setting: this machine, and the networks that people have for themselves. */
export const PRIVATE_NETWORKS = [
  '127.0.0.0/8',
  '::1/128',
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '100.64.0.0/10',
  'fc00::/7',
];

/**
 * Ranges, as ipaddr.js calls them, of addresses that mean the same host everywhere, or hold one that is
 * looked at by itself.
 */
const PUBLIC = new Set(['unicast', 'rfc6052', '6to4']);

/**
 * Why a check must not connect to this IP address, also when IPv6 wraps an IPv4 address; null if it may.
 * Whoever may make checks would otherwise see into the networks of the machine that makes them.
 * @param allowed networks that are not public and that checks may look into
 */
export function addressFlaw(address: string, allowed: readonly Network[]): string | null {
  const bare = address.replace(/^\[|\]$/g, '').replace(/%.*$/, '');
  if (!ipaddr.isValid(bare)) return 'is no address';
  const parsed = ipaddr.process(bare);
  const forms = [parsed, ...(parsed instanceof ipaddr.IPv6 ? embedded(parsed) : [])];
  if (forms.some((form) => isIn(form, METADATA))) return 'is a link-local or cloud metadata address';
  const closed = forms.some((form) => !PUBLIC.has(form.range()) && !isIn(form, allowed));
  return closed ? 'is a private address that HTTP_CHECK_NETWORKS does not have' : null;
}

function isIn(address: Address, ranges: readonly Network[]): boolean {
  return ranges.some(([range, bits]) => address.kind() === range.kind() && address.match(range, bits));
}

/**
 * IPv4 addresses that translators find in an IPv6 one: NAT64 (RFC 6052), 6to4 (RFC 3056), IPv4-compatible
 * (RFC 4291).
 */
function embedded(address: ipaddr.IPv6): ipaddr.IPv4[] {
  const bytes = address.toByteArray();
  const at = (i: number) => new ipaddr.IPv4(bytes.slice(i, i + 4));
  if (address.match(ipaddr.IPv6.parse('64:ff9b::'), 96)) return [at(12)];
  if (address.match(ipaddr.IPv6.parse('2002::'), 16)) return [at(2)];
  // Loopback is an address of its own.
  if (address.range() === 'loopback') return [];
  if (address.match(ipaddr.IPv6.parse('::'), 96)) return [at(12)];
  return [];
}
