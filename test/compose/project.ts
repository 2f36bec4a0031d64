import { execFile, execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

const root = join(import.meta.dirname, '../..');
/** No settings of the caller: users have only a checkout and `.env`. */
const env = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => /^(PATH|HOME|DOCKER_\w+)$/.test(name)),
);

/** A container of the project, in the form of `docker compose ps`. */
export interface Container {
  Service: string;
  State: string;
  Health: string;
  ExitCode: number;
}

/** A separate checkout that runs as a separate Compose project. */
export class Project {
  readonly directory: string;

  /** Copies the working tree as `git clone` under a umask of 077 would make it. */
  constructor(directory: string) {
    this.directory = directory;
    const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
      cwd: root,
      encoding: 'utf8',
    });
    for (const file of listed.split('\0').filter(Boolean)) {
      const from = statSync(join(root, file), { throwIfNoEntry: false });
      if (!from?.isFile()) continue;
      const to = join(directory, file);
      mkdirSync(dirname(to), { recursive: true, mode: 0o700 });
      copyFileSync(join(root, file), to);
      chmodSync(to, from.mode & 0o700);
    }
  }

  /** Runs a documented command in the checkout; resolves to its output. */
  async run(command: string, ...args: string[]): Promise<string> {
    const options = { cwd: this.directory, env, maxBuffer: 64 << 20 };
    const { stdout } = await promisify(execFile)(command, args, options);
    return stdout;
  }

  compose(...args: string[]): Promise<string> {
    return this.run('docker', 'compose', '--project-name', 'tocsin-test', ...args);
  }

  /** Sets a value in .env, in single quotes. */
  set(name: string, value: string): void {
    const file = join(this.directory, '.env');
    const others = readFileSync(file, 'utf8').replaceAll(new RegExp(`^${name}=.*\n`, 'gm'), '');
    writeFileSync(file, `${others}${name}='${value}'\n`);
  }

  async containers(): Promise<Container[]> {
    const lines = (await this.compose('ps', '--all', '--format', 'json')).trim().split('\n');
    return lines.filter(Boolean).map((line) => JSON.parse(line) as Container);
  }

  /** The rows of a query on the events database, as its superuser. */
  async sql(query: string): Promise<string> {
    const psql = ['psql', '--username=postgres', '--no-align', '--tuples-only', '--command', query, 'tocsin'];
    return (await this.compose('exec', '-T', 'postgres', ...psql)).trim();
  }

  /** Sends a signal to the Node process of a service. It bypasses the container's init. */
  async signal(service: string, signal: 'KILL' | 'STOP' | 'CONT'): Promise<void> {
    const script = `for p in /proc/[0-9]*; do read -r name < $p/comm; [[ $name == node || $name == MainThread ]] && kill -${signal} \${p#/proc/}; done; true`;
    await this.compose('exec', '-T', service, 'bash', '-c', script);
  }

  async remove(): Promise<void> {
    await this.compose('--profile', 'ui', 'down', '--volumes', '--timeout', '20');
    rmSync(this.directory, { recursive: true, force: true });
  }
}
