'use strict';
// Interoperability checks with amqplib; the files below register them.

require('./connecting');
require('./routing');
require('./declaring');
require('./delivering');
require('./publishing');
require('./content');

require('./harness').main();
