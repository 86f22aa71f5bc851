// Package jsonlog is the log that a container's output is kept in: the format of
// its lines, the names of its files, and reading it. Package iod writes it.
//
// A line is a JSON object as Docker's json-file driver writes it,
//
//	{"log":"text\n","stream":"stdout","time":"2026-01-02T15:04:05.123456789Z"}
//
// ended by a newline. A text that is longer than 16 KiB comes in pieces, and only the
// last has the newline in it. What is not UTF-8 becomes U+FFFD in log, as with
// Docker; such a line has one member more, "raw", with the bytes as base64, so that
// they can be had back. Of a long text that is mostly none at all, such as zeros, log
// holds one U+FFFD and the newline: escapes would make six bytes of each. Attributes (labels, env, tag) are the same for all
// lines and are not written into them.
//
// The file that is written is json.log. When it is rotated it becomes
// json.log.FIRST-END, and later json.log.FIRST-END.gz if it is compressed: FIRST and END
// say which bytes of the whole log it holds, counted from the container's first line
// and uncompressed. So a position in the log means the same whatever was rotated,
// compressed or dropped since, and what a reader has missed can be counted. A log
// that is kept in a single file is started afresh instead, and its positions with it.
package jsonlog
