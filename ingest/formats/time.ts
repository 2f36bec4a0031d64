const FORM = /^(\d{4}-\d\d-\d\d)[T ](\S+?) ?([+-]\d\d):?(\d\d)?$/;

/**
 * A time as RFC 3339 has it, of what loggers and other clients write: a space for the T, a comma before the
 * fraction, small letters, and a zone without its colon, as `strftime`'s `%z` is (PagerDuty's own example has
 * one). Anything else stays what it is.
 */
export function rfc3339(text: string): string {
  return text
    .trim()
    .toUpperCase()
    .replace(' ', 'T')
    .replace(',', '.')
    .replace(FORM, (_, day, time, hours, minutes = '00') => `${day}T${time}${hours}:${minutes}`);
}
