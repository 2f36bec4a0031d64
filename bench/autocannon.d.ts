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
  interface Result {
    '2xx': number;
    non2xx: number;
    errors: number;
  }
  interface Load extends Promise<Result> {
    on(event: 'response', listener: () => void): void;
  }
  export default function autocannon(options: Options): Load;
}
