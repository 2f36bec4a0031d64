type Package = {
  dependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
  peerDependencies?: Record<string, string>;
};
/**
 * The part of package-lock.json that says which package is installed where. '' is the project, the others are
 * `node_modules/…`.
 */
export type Lock = { packages: Record<string, Package> };

/** Finds installed packages that the project no longer needs if it does without those in `without`. */
export function unneeded({ packages }: Lock, without: readonly string[]): string[] {
  const reached = new Set<string>();
  const visit = (path: string) => {
    if (reached.has(path)) return;
    reached.add(path);
    const { dependencies, optionalDependencies, peerDependencies } = packages[path]!;
    for (const name of Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies })) {
      const found = without.includes(name) ? undefined : resolve(packages, path, name);
      if (found !== undefined) visit(found);
    }
  };
  visit('');
  return Object.keys(packages).filter((path) => !reached.has(path));
}

/** Finds where Node resolves `name` from a package: in its own node_modules, or in one further up. */
function resolve(packages: Lock['packages'], from: string, name: string): string | undefined {
  for (let at: string | undefined = from; at !== undefined; at = around(at)) {
    const path = at === '' ? `node_modules/${name}` : `${at}/node_modules/${name}`;
    if (path in packages) return path;
  }
  return undefined;
}

function around(path: string): string | undefined {
  if (path === '') return undefined;
  const end = path.lastIndexOf('/node_modules/');
  return end === -1 ? '' : path.slice(0, end);
}
