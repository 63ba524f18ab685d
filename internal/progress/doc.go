// Package progress shows how the work goes.
//
// A [Display] is an [build.Reporter] that writes in one of the [Formats]:
//
//   - tty: a live view of a terminal. Steps are grouped by platform; each shows its state, its time and, while it runs,
//     the last line of what it prints. [Display.Close] leaves the whole view in the terminal's scrollback.
//   - plain: one line for each event, headed by the seconds since the start, for logs. Never with colour.
//   - json: one JSON object for each event on its own line, for programs.
//   - auto: tty where the writer is a terminal that can draw and no CI system is at work, else plain.
//
// What builds print is not trusted. In every format it is as package console makes it: without colours, and with control
// characters and invisible characters made visible; and a line that is very long is cut.
//
// # The json format
//
// Every object has "time", the seconds since the start, and "event". The other members are there where they have
// something to say:
//
//	event     members                              shown
//	begin     version                              before all others; the version of this format is 1
//	start     lane, step                           when a step begins
//	output    lane, step, text                     for each line that a step prints, an empty one without text
//	progress  lane, step, unit, done, total,       at most once a second, while a step goes on that compiles packages or
//	          longest                              moves bytes; total only where it is known
//	end       lane, step, seconds, error,          when a step is over; error is there only if it failed, skipped only if
//	          skipped, savedSeconds, unit, done,   there was nothing to do, and is why
//	          total
//	note      text                                 for what is worth knowing
//	warning   text                                 for what may need the user's attention
//	summary   images, seconds, savedSeconds,       once, at the end of work, part of which may have failed
//	          slowest
//
// docs/progress.schema.json has all of it as a JSON schema. "unit" is "packages" or "bytes"; "longest" is the package that has been compiled for
// the longest time, and for how many "seconds"; "savedSeconds" is how long skipped work took when it was done. "slowest" are the steps that took
// longest, of a second or more. "lane" is a platform such as "linux/arm64", and is left out for work that all platforms share. "seconds" is how long the
// step took. Each of "images" has "platform", "digest", and in bytes "binarySize", "imageSize" (compressed, as it is
// pulled) and "unpackedSize". Times have a precision of a millisecond. Members may be added later, but none changes its
// meaning.
package progress
