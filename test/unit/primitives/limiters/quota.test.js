import { Quota, QuotaLease } from '../../../../lib/index.js';
import { describeQuota } from '../../../support/quota-table.js';

describeQuota({ name: 'Quota', make: (options) => new Quota(options), Lease: QuotaLease });
