import pg from 'pg';

/** The two messages that COPY needs. The driver's connection has these methods; its types lack them. */
interface CopyConnection {
  sendCopyFromChunk(chunk: Buffer): void;
  endCopyFrom(): void;
}

/** Statements that include one `copy … from stdin`, and the data for it. */
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

  /** The driver calls this when PostgreSQL is ready for the data. */
  handleCopyInResponse(connection: CopyConnection): void {
    connection.sendCopyFromChunk(this.#data);
    connection.endCopyFrom();
  }
}

/**
 * Runs statements without parameters, one after the other, in one round trip, plus one for the data of the
 * `copy … from stdin` among them. Each statement has its own snapshot. The first error ends all of them.
 * @returns the results in order
 */
export function copyIn(client: pg.ClientBase, text: string, data: Buffer): Promise<pg.QueryResult[]> {
  return new Promise((resolve, reject) => {
    const done = (error: Error | undefined, results: pg.QueryResult[]) =>
      error ? reject(error) : resolve(results);
    client.query(new CopyQuery(text, data, done));
  });
}
