// SPDX-License-Identifier: MIT
//
// Directus loads this at its start, and uses it only to run scripts of flows and sandboxed extensions. The tests have
// neither; one that came to need them would hear of it here.
'use strict';

class Isolate {
    constructor() {
        throw new Error('the Directus of the tests runs no scripts');
    }
}

module.exports = { Isolate };
