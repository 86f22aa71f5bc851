// Package logopt knows Docker's log drivers and their options (--log-driver and
// --log-opt): it judges them when a container is created, and gives those who
// keep, show and ship logs their parsed form. Everything here is pure.
//
// Names, defaults and messages are Docker's. What differs, because logs belong
// to tenants of a data center:
//
//   - The addresses of syslog, gelf and fluentd are required, since there is no
//     daemon beside the container that could be meant by default. They are
//     dialled from inside the container's network. unix sockets are refused, and so
//     are options that name files of the node; syslog-tls-ca-cert takes the
//     certificate itself, as PEM text.
//   - Every driver but none keeps a local copy, which is what docker logs reads
//     and what the remote drivers send from. For these it is set by Docker's
//     cache-max-size, cache-max-file and cache-compress; cache-disabled=true is
//     refused.
//   - mode. With json-file and local each line is in its file before more is read
//     from the container: that is mode=blocking, and non-blocking, which drops
//     lines, is refused. With the remote drivers the local copy is the buffer, so a
//     log server never holds a container up: that is mode=non-blocking, and
//     blocking is refused. max-buffer-size must fit into the local copy.
//   - Tag templates have Docker's fields and functions, but no range, no with, no
//     nested templates, and every value in them is bounded: they are run on the node.
package logopt
