// Package plan decides what a build does: it turns a [Config] and a source tree into a [Plan].
//
// A plan is plain data. It names every command, cache, file, user, label and reference before anything runs, so that it
// can be read, compared and tested without an engine, and means the same on each of them. The package reads the source
// tree and nothing else: a plan depends on the source and the settings, never on the machine.
package plan
