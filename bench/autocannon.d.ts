/** What we use of it; it brings no types of its own. */
declare module 'autocannon' {
  interface Options {
    url: string;
    method: 'GET' | 'POST';
    headers?: Record<string, string>;
    body?: string;
    connections: number;
    /** Requests in all. */
    amount: number;
  }
  export default function autocannon(
    options: Options,
  ): Promise<{ '2xx': number; non2xx: number; errors: number }>;
}
