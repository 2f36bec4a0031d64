import pg from 'pg';

/** The two messages that a COPY needs; the driver's connection has them, its types don't. */
interface CopyConnection {
  sendCopyFromChunk(chunk: Buffer): void;
  endCopyFrom(): void;
}

/** Statements of which one is a `copy … from stdin`, and what that one gets. */
class CopyQuery extends pg.Query {
  readonly #data: Buffer;

  constructor(
    text: string,
    data: Buffer,
    callback: (error: Error | undefined, results: pg.QueryResult[]) => void,
  ) {
    super(text, callback as never);
    this.#data = data;
  }

  /** Called by the driver, when PostgreSQL is ready for the data. */
  handleCopyInResponse(connection: CopyConnection): void {
    connection.sendCopyFromChunk(this.#data);
    connection.endCopyFrom();
  }
}

/**
 * Runs statements without parameters, one after the other, in one round trip, and one more for the data of
 * the `copy … from stdin` among them. Each statement has a snapshot of its own, as if it were sent alone; the
 * first that fails ends them all.
 * @returns the results in order
 */
export function copyIn(client: pg.ClientBase, text: string, data: Buffer): Promise<pg.QueryResult[]> {
  return new Promise((resolve, reject) => {
    const done = (error: Error | undefined, results: pg.QueryResult[]) =>
      error ? reject(error) : resolve(results);
    client.query(new CopyQuery(text, data, done));
  });
}
