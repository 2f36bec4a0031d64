import ipaddr from 'ipaddr.js';
import type { Address } from '../network.ts';

export type Network = [Address, number];

const networks = (...ranges: string[]): Network[] => ranges.map((range) => ipaddr.parseCIDR(range));

/**
 * Addresses of cloud metadata services, which give out a machine's credentials, and the link-local network
 * that most of them use. They are refused in every case. Sources: the documentation of AWS, GCP, Azure,
 * Alibaba, Oracle, Scaleway, Akamai and Vultr.
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
  // Local-use NAT64 (RFC 8215): only its own network knows where in the address the IPv4 address is.
  '64:ff9b:1::/48',
);

/** What `private` means in a setting: this machine and all private networks. */
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
 * Address ranges, as ipaddr.js names them, that are public, or that embed an IPv4 address which is checked by
 * itself.
 */
const PUBLIC = new Set(['unicast', 'rfc6052', '6to4']);

/**
 * Says why a check must not connect to this IP address; null if it may. IPv4 addresses embedded in IPv6 are
 * checked too. Otherwise anybody who may create checks could look into the networks of this machine.
 * @param allowed networks that are not public and that checks may connect to
 */
export function addressFlaw(address: string, allowed: readonly Network[]): string | null {
  const bare = address.replace(/^\[|\]$/g, '').replace(/%.*$/, '');
  if (!ipaddr.isValid(bare)) return 'is not an IP address';
  const parsed = ipaddr.process(bare);
  const forms = [parsed, ...(parsed instanceof ipaddr.IPv6 ? embedded(parsed) : [])];
  if (forms.some((form) => isIn(form, METADATA))) return 'is a link-local or cloud metadata address';
  const closed = forms.some((form) => !PUBLIC.has(form.range()) && !isIn(form, allowed));
  return closed ? 'is a private address that HTTP_CHECK_NETWORKS does not include' : null;
}

function isIn(address: Address, ranges: readonly Network[]): boolean {
  return ranges.some(([range, bits]) => address.kind() === range.kind() && address.match(range, bits));
}

/**
 * The IPv4 addresses that translators find in an IPv6 address: NAT64 (RFC 6052), 6to4 (RFC 3056),
 * IPv4-compatible (RFC 4291).
 */
function embedded(address: ipaddr.IPv6): ipaddr.IPv4[] {
  const bytes = address.toByteArray();
  const at = (i: number) => new ipaddr.IPv4(bytes.slice(i, i + 4));
  if (address.match(ipaddr.IPv6.parse('64:ff9b::'), 96)) return [at(12)];
  if (address.match(ipaddr.IPv6.parse('2002::'), 16)) return [at(2)];
  // `::1` embeds no IPv4 address.
  if (address.range() === 'loopback') return [];
  if (address.match(ipaddr.IPv6.parse('::'), 96)) return [at(12)];
  return [];
}
