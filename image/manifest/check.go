package manifest

import (
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/spearheadcloud/spearhead/model"
)

// Limits of a configuration.
const (
	maxEnv         = 256 << 10 // bytes of all variables
	maxArguments   = 4096
	maxArgumentLen = 128 << 10
	maxLabels      = 256
	maxLabel       = 4 << 10
	maxVolumes     = 256
	maxPorts       = 65536 * 2
	maxHistory     = 4096
	maxPath        = 4096
)

// reservedLabels begin labels by which an account asks for something, which an
// image must not do in its name.
const reservedLabels = "spearhead."

func invalid(format string, args ...any) error {
	return model.Errorf(model.KindInvalid, "the image's configuration is refused: "+format, args...)
}

func checkConfig(c model.ImageConfig) error {
	for _, check := range []func(model.ImageConfig) error{checkEnv, checkArguments, checkLabels, checkPaths, checkPorts} {
		if err := check(c); err != nil {
			return err
		}
	}
	return CheckUser(c.User)
}

func checkEnv(c model.ImageConfig) error {
	total := 0
	for _, variable := range c.Env {
		total += len(variable) + 1
		if strings.ContainsRune(variable, 0) {
			return invalid("an environment variable holds a zero byte")
		}
	}
	if total > maxEnv {
		return invalid("its environment has more than %d bytes", maxEnv)
	}
	return nil
}

func checkArguments(c model.ImageConfig) error {
	lists := map[string][]string{"Entrypoint": c.Entrypoint, "Cmd": c.Cmd, "Shell": c.Shell, "OnBuild": c.OnBuild}
	if c.Healthcheck != nil {
		lists["Healthcheck"] = c.Healthcheck.Test
	}
	for name, list := range lists {
		if len(list) > maxArguments {
			return invalid("%s has more than %d parts", name, maxArguments)
		}
		for _, argument := range list {
			if len(argument) > maxArgumentLen || strings.ContainsRune(argument, 0) {
				return invalid("a part of %s is longer than %d bytes or holds a zero byte", name, maxArgumentLen)
			}
		}
	}
	if len(c.StopSignal) > 32 {
		return invalid("its stop signal is no signal")
	}
	return nil
}

func checkLabels(c model.ImageConfig) error {
	if len(c.Labels) > maxLabels {
		return invalid("it has more than %d labels", maxLabels)
	}
	for key, value := range c.Labels {
		if len(key)+len(value) > maxLabel {
			return invalid("label %.64q has more than %d bytes", key, maxLabel)
		}
		if strings.HasPrefix(key, reservedLabels) {
			return invalid("label %.64q is reserved for the owner of a container", key)
		}
	}
	return nil
}

func checkPaths(c model.ImageConfig) error {
	if c.WorkingDir != "" {
		if err := checkPath("working directory", c.WorkingDir); err != nil {
			return err
		}
	}
	if len(c.Volumes) > maxVolumes {
		return invalid("it has more than %d volumes", maxVolumes)
	}
	for _, volume := range c.Volumes {
		if !path.IsAbs(volume) || path.Clean(volume) == "/" {
			return invalid("volume %.64q is no absolute path below the root", volume)
		}
		if err := checkPath("volume", volume); err != nil {
			return err
		}
	}
	return nil
}

// checkPath refuses places that are the kernel's: /proc/self/fd leads out of a
// container in more than one way.
func checkPath(what, name string) error {
	if len(name) > maxPath || strings.ContainsRune(name, 0) {
		return invalid("its %s is longer than %d bytes or holds a zero byte", what, maxPath)
	}
	clean := path.Clean("/" + name)
	for _, kernel := range []string{"/proc", "/sys"} {
		if clean == kernel || strings.HasPrefix(clean, kernel+"/") {
			return invalid("its %s %.64q lies in %s", what, name, kernel)
		}
	}
	return nil
}

var portRule = regexp.MustCompile(`^([0-9]{1,5})(-([0-9]{1,5}))?(/(tcp|udp|sctp))?$`)

func checkPorts(c model.ImageConfig) error {
	if len(c.ExposedPorts) > maxPorts {
		return invalid("it exposes more than %d ports", maxPorts)
	}
	for _, port := range c.ExposedPorts {
		parts := portRule.FindStringSubmatch(strings.ToLower(port))
		if parts == nil || !isPort(parts[1]) || parts[3] != "" && !isPort(parts[3]) {
			return invalid("exposed port %.64q is no port", port)
		}
	}
	return nil
}

func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0
}

var userRule = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9_.@-]*\$?$`)

// CheckUser checks a "user[:group]", both names or numbers. What looks like a
// number must be one that the kernel knows as an id: others have been read as
// 0 before.
func CheckUser(user string) error {
	if user == "" {
		return nil
	}
	name, group, hasGroup := strings.Cut(user, ":")
	known := isUser(name) || name == "" && hasGroup
	if !known || group != "" && !isUser(group) {
		return invalid("user %.64q is neither a name nor a number from 0 to 4294967294", user)
	}
	return nil
}

func isUser(s string) bool {
	if s == "" || len(s) > 256 {
		return false
	}
	if strings.Trim(s, "0123456789") == "" {
		n, err := strconv.ParseUint(s, 10, 32)
		return err == nil && n < 1<<32-1
	}
	if _, err := strconv.ParseInt(s, 0, 64); err == nil {
		return false // a number in another notation: -1, 0x0, 1_0
	}
	return userRule.MatchString(s)
}
