import ipaddr from 'ipaddr.js';

/**
 * Addresses that answer with a machine's own credentials, and link-local ones, where they live. Private networks are
 * allowed: people watch what they host. Sources: AWS, GCP, Azure, Alibaba and Oracle instance metadata documentation.
 */
const FORBIDDEN = [
  '169.254.0.0/16',
  '100.100.100.200/32',
  '192.0.0.192/32',
  '168.63.129.16/32',
  'fe80::/10',
  'fd00:ec2::/32',
  'fd20:ce::254/128',
  // Local-use NAT64 (RFC 8215): where the IPv4 address is in it, only its network knows.
  '64:ff9b:1::/48',
].map((range) => ipaddr.parseCIDR(range));

/** Whether a check must not connect to this IP address, also when IPv6 wraps an IPv4 address. Not an address: true. */
export function forbiddenAddress(address: string): boolean {
  const bare = address.replace(/^\[|\]$/g, '').replace(/%.*$/, '');
  if (!ipaddr.isValid(bare)) return true;
  const parsed = ipaddr.process(bare);
  const forms = [parsed, ...(parsed instanceof ipaddr.IPv6 ? embedded(parsed) : [])];
  return forms.some((form) =>
    FORBIDDEN.some(([range, bits]) => form.kind() === range.kind() && form.match(range, bits)),
  );
}

/** IPv4 addresses that translators find in an IPv6 one: NAT64 (RFC 6052), 6to4 (RFC 3056), IPv4-compatible (RFC 4291). */
function embedded(address: ipaddr.IPv6): ipaddr.IPv4[] {
  const bytes = address.toByteArray();
  const at = (i: number) => new ipaddr.IPv4(bytes.slice(i, i + 4));
  if (address.match(ipaddr.IPv6.parse('64:ff9b::'), 96)) return [at(12)];
  if (address.match(ipaddr.IPv6.parse('2002::'), 16)) return [at(2)];
  if (address.match(ipaddr.IPv6.parse('::'), 96)) return [at(12)];
  return [];
}
