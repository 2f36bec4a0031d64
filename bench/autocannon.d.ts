/** The parts of autocannon's API that we use. The package has no types. */
declare module 'autocannon' {
  interface Options {
    url: string;
    method: 'GET' | 'POST';
    headers?: Record<string, string>;
    body?: string;
    connections: number;
    /** Total number of requests. */
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
