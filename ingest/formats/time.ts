const FORM = /^(\d{4}-\d\d-\d\d)[T ](\S+?) ?([+-]\d\d):?(\d\d)?$/;

/**
 * Converts a time as loggers and other clients write it to RFC 3339. It accepts a space for the T, a comma
 * before the fraction, small letters, and a zone without a colon as `strftime`'s `%z` writes it (PagerDuty's
 * own example has one). Other texts are returned unchanged.
 */
export function rfc3339(text: string): string {
  return text
    .trim()
    .toUpperCase()
    .replace(' ', 'T')
    .replace(',', '.')
    .replace(FORM, (_, day, time, hours, minutes = '00') => `${day}T${time}${hours}:${minutes}`);
}
