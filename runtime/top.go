package runtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spearheadcloud/spearhead/model"
)

// Top lists the container's processes as ps(1) does with psArgs. "" and "-ef"
// need no ps on the node. KindConflict if the container does not run.
func (r *Runtime) Top(ctx context.Context, id, psArgs string) (titles []string, rows [][]string, err error) {
	run, err := r.running(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	pids, err := run.group.Processes()
	if err != nil {
		return nil, nil, fmt.Errorf("cannot show container: %w", err)
	}
	if psArgs == "" || psArgs == "-ef" {
		titles, rows = ownTable(pids)
		return titles, rows, nil
	}
	args, err := checkPsArgs(psArgs)
	if err != nil {
		return nil, nil, err
	}
	list := make([]string, len(pids))
	for i, pid := range pids {
		list[i] = strconv.Itoa(pid)
	}
	out, err := exec.CommandContext(ctx, "ps", append(slices.Clone(args), "-q"+strings.Join(list, ","))...).Output()
	if err != nil && !errors.Is(err, exec.ErrNotFound) { // not every option goes with a list
		out, err = exec.CommandContext(ctx, "ps", args...).Output()
	}
	if errors.Is(err, exec.ErrNotFound) {
		return nil, nil, model.Errorf(model.KindNotImplemented, "ps options are not possible: the node has no ps; ask for none")
	}
	if err != nil {
		return nil, nil, model.WrapError(model.KindInvalid, err, "ps does not know the options %.100q", psArgs)
	}
	return filterPs(string(out), pids)
}

// checkPsArgs lets only options pass with which the column PID can be found
// for sure: ps sees all processes of the node, and only the container's may be
// told.
func checkPsArgs(psArgs string) ([]string, error) {
	args := strings.Fields(psArgs)
	for _, arg := range args {
		bad := strings.Trim(arg, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-,_%+") != ""
		if bad || strings.HasPrefix(arg, "--") {
			return nil, model.Errorf(model.KindInvalid, "ps option %.40q is not allowed", arg)
		}
	}
	return args, nil
}

// filterPs keeps the lines of ps that are of pids. Only columns without blanks
// may stand before PID.
func filterPs(out string, pids []int) (titles []string, rows [][]string, err error) {
	lines := strings.Split(strings.TrimRight(out, "\n"), "\n")
	titles = strings.Fields(lines[0])
	at := slices.Index(titles, "PID")
	if at < 0 {
		return nil, nil, model.Errorf(model.KindInvalid, "Couldn't find PID field in ps output")
	}
	for _, title := range titles[:at] {
		if !slices.Contains([]string{"F", "S", "UID", "USER", "PPID", "PGID", "PGRP", "SID", "RUSER", "EUID", "RUID", "GID", "NI", "PRI", "NLWP"}, title) {
			return nil, nil, model.Errorf(model.KindInvalid, "ps column %s may not stand before PID", title)
		}
	}
	for _, line := range lines[1:] {
		fields := strings.Fields(line)
		if len(fields) <= at {
			continue
		}
		pid, err := strconv.Atoi(fields[at])
		if err != nil || !slices.Contains(pids, pid) {
			continue
		}
		if len(fields) > len(titles) {
			last := len(titles) - 1
			fields = append(fields[:last:last], strings.Join(fields[last:], " "))
		}
		rows = append(rows, fields)
	}
	return titles, rows, nil
}

// ticksPerSecond is the unit of times in /proc on every architecture that Go
// knows.
const ticksPerSecond = 100

// ownTable is what ps -ef prints. Processes that end meanwhile are left out.
func ownTable(pids []int) ([]string, [][]string) {
	now := time.Now()
	boot := now.Add(-uptime())
	rows := [][]string{}
	for _, pid := range pids {
		if row := processRow(pid, boot, now); row != nil {
			rows = append(rows, row)
		}
	}
	return []string{"UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"}, rows
}

func uptime() time.Duration {
	b, err := os.ReadFile("/proc/uptime")
	first, _, _ := strings.Cut(string(b), " ")
	seconds, parseErr := strconv.ParseFloat(first, 64)
	if err != nil || parseErr != nil {
		return 0
	}
	return time.Duration(seconds * float64(time.Second))
}

func processRow(pid int, boot, now time.Time) []string {
	dir := "/proc/" + strconv.Itoa(pid)
	b, err := os.ReadFile(dir + "/stat")
	text := string(b)
	open, shut := strings.IndexByte(text, '('), strings.LastIndexByte(text, ')')
	if err != nil || open < 0 || shut < open {
		return nil
	}
	f := strings.Fields(text[shut+1:])
	if len(f) < 20 {
		return nil
	}
	num := func(i int) int64 { n, _ := strconv.ParseInt(f[i], 10, 64); return n }
	used := time.Duration(num(11)+num(12)) * time.Second / ticksPerSecond
	started := boot.Add(time.Duration(num(19)) * time.Second / ticksPerSecond)
	share := int64(0)
	if age := now.Sub(started); age > 0 {
		share = min(int64(100*used/age), 99)
	}
	stime := started.Format("15:04")
	if now.Sub(started) > 24*time.Hour {
		stime = started.Format("Jan02")
	}
	seconds := int64(used / time.Second)
	return []string{
		ownerOf(dir), strconv.Itoa(pid), f[1], strconv.FormatInt(share, 10), stime, terminalName(num(4)),
		fmt.Sprintf("%02d:%02d:%02d", seconds/3600, seconds/60%60, seconds%60), commandLine(dir, text[open+1:shut]),
	}
}

func ownerOf(dir string) string {
	b, err := os.ReadFile(dir + "/status")
	if err != nil {
		return "?"
	}
	_, after, _ := strings.Cut(string(b), "\nUid:\t")
	fields := strings.Fields(after)
	if len(fields) < 2 {
		return "?"
	}
	if u, err := user.LookupId(fields[1]); err == nil {
		return u.Username
	}
	return fields[1]
}

func commandLine(dir, name string) string {
	b, err := os.ReadFile(dir + "/cmdline")
	if err != nil || len(b) == 0 {
		return "[" + name + "]"
	}
	return strings.TrimRight(strings.ReplaceAll(string(b), "\x00", " "), " ")
}

// terminalName decodes a device number as ps does: terminals of containers are
// pseudo-terminals, majors 136 to 143.
func terminalName(device int64) string {
	major, minor := device>>8&0xfff, device&0xff|device>>12&0xfff00
	switch {
	case device == 0:
		return "?"
	case major >= 136 && major <= 143:
		return fmt.Sprintf("pts/%d", (major-136)<<8|minor)
	}
	return fmt.Sprintf("%d,%d", major, minor)
}
