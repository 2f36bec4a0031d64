import { AuditEntity } from './audit.ts';
import { DeadLetterEntity } from './dead-letter.ts';
import { DeliveryEntity, IncidentEntity, NoticeEntity, TimelineEntity } from './incident.ts';
import { ApiKeyEntity, SessionEntity } from './key.ts';
import { MappingEntity } from './mapping.ts';
import { ProcessEntity } from './process.ts';
import { ProducerEntity } from './producer.ts';
import { AlertRuleEntity, RuleVersionEntity } from './rule.ts';

/** Tables that the ORM manages. Tables of the data plane are raw SQL: see the migrations. */
export const entities = [
  AlertRuleEntity,
  RuleVersionEntity,
  IncidentEntity,
  TimelineEntity,
  NoticeEntity,
  DeliveryEntity,
  ProducerEntity,
  DeadLetterEntity,
  ProcessEntity,
  ApiKeyEntity,
  SessionEntity,
  AuditEntity,
  MappingEntity,
];
