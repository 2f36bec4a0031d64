import type { WorkflowClientInterceptor } from '@temporalio/client';
import { linkTo, openLink } from '../domain/temporal-ui/about.ts';
import type { KnownAttributes } from './known-attributes.ts';

type Options = Parameters<NonNullable<WorkflowClientInterceptor['startWithDetails']>>[0]['options'];

/**
 * Completes each workflow start: the path in its memo becomes a full URL of the API, and search attributes
 * that the namespace lacks are removed, because the server would refuse the start.
 */
export function startsShown({
  api,
  known,
}: {
  /** The address at which people reach the API. */
  api: string;
  known: Pick<KnownAttributes, 'names'>;
}): WorkflowClientInterceptor {
  const complete = async (options: Options): Promise<Options> => {
    const { memo, staticDetails, typedSearchAttributes } = options;
    const path = memo?.api;
    const link = typeof path === 'string' && path.startsWith('/') ? linkTo(api, path) : undefined;
    const names = Array.isArray(typedSearchAttributes) ? await known.names() : [];
    return {
      ...options,
      ...(link
        ? { memo: { ...memo, api: link }, staticDetails: `${staticDetails}\n\n${openLink(link)}` }
        : {}),
      ...(Array.isArray(typedSearchAttributes)
        ? { typedSearchAttributes: typedSearchAttributes.filter(({ key }) => names.includes(key.name)) }
        : {}),
    };
  };
  return {
    startWithDetails: async (input, next) => next({ ...input, options: await complete(input.options) }),
    signalWithStart: async (input, next) => next({ ...input, options: await complete(input.options) }),
    startUpdateWithStart: async (input, next) =>
      next({ ...input, workflowStartOptions: await complete(input.workflowStartOptions) }),
  };
}
