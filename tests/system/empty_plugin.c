/* SPDX-License-Identifier: Apache-2.0 */
/* empty_plugin - a shared object that is no plugin. */
extern const int no_plugin;
__attribute__((visibility("default"))) const int no_plugin = 1;
