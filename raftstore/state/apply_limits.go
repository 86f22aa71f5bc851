package state

import (
	"fmt"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

func (t *transaction) setAccountLimits(c command.SetAccountLimits) error {
	a, err := t.account(c.AccountID)
	if err != nil {
		return err
	}
	l := c.Limits
	for _, value := range []int64{l.Containers, l.Memory, l.CPU, l.Disk, l.Networks, l.Volumes, l.Images, l.Rules} {
		if value < model.NoneAllowed || value > maxResource {
			return model.Errorf(model.KindInvalid, "a limit of %d is out of range", value)
		}
	}
	a.Limits = l
	t.touch(a.ID)
	return t.insert(tableAccounts, &a)
}

// Used is what an account has of what can be limited.
func (v *View) Used(accountID string) model.AccountLimits {
	count, r := v.Holdings(accountID)
	used := model.AccountLimits{
		Containers: int64(count), Memory: r.Memory, CPU: r.CPU, Disk: r.Disk,
		Networks: v.networksOf(accountID), Images: int64(len(v.ImageNames(accountID))),
		Rules: int64(len(v.Rules(accountID))),
	}
	for _, vol := range v.Volumes(accountID) {
		used.Volumes++
		used.Disk += vol.Size
	}
	return used
}

func (v *View) networksOf(accountID string) (n int64) {
	for _, network := range v.Networks() {
		if network.AccountID == accountID && !network.Removing {
			n++
		}
	}
	return n
}

// CheckLimits refuses a new container that would take more than its account
// may have.
func (v *View) CheckLimits(a *model.Account, c *model.Container) error {
	count, _ := v.Holdings(a.ID)
	if err := checkCount(a.Limits.Containers, int64(count), "containers"); err != nil {
		return err
	}
	size := sizeOf(c)
	if err := CheckProcessors(a, size.CPU); err != nil {
		return err
	}
	return v.checkHoldings(a, size)
}

// CheckProcessors refuses a container without a limit of processors to an
// account that has one. cpu is the container's, in thousandths of a core; 0 is
// none.
func CheckProcessors(a *model.Account, cpu int64) error {
	if a.Limits.CPU == model.Unlimited || cpu != 0 {
		return nil
	}
	return model.Errorf(model.KindExhausted,
		"Quota exceeded: this account may use %s CPUs, and the container would have no limit of its own; give it one with --cpus, or choose a package that has one",
		coresText(max(a.Limits.CPU, 0)))
}

// checkHoldings refuses more resources than an account may have.
func (v *View) checkHoldings(a *model.Account, more model.Resources) error {
	_, have := v.Holdings(a.ID)
	if err := checkSum(a.Limits.Memory, have.Memory, more.Memory, "of memory", sizeText); err != nil {
		return err
	}
	if err := checkSum(a.Limits.CPU, have.CPU, more.CPU, "CPUs", coresText); err != nil {
		return err
	}
	return v.checkDisk(a, more.Disk)
}

// checkDisk refuses more disk than an account may have: what its containers
// and its volumes are held to, together.
func (v *View) checkDisk(a *model.Account, more int64) error {
	if a.Limits.Disk == model.Unlimited || more <= 0 {
		return nil
	}
	return checkSum(a.Limits.Disk, v.Used(a.ID).Disk, more, "of disk", sizeText)
}

// checkSum refuses more of something than a limit leaves.
func checkSum(limit, have, more int64, what string, show func(int64) string) error {
	if limit == model.Unlimited || more <= 0 || more <= max(limit, 0)-have {
		return nil
	}
	return model.Errorf(model.KindExhausted,
		"Quota exceeded: this account may use %s %s and has taken %s, so that another %s do not fit; remove something, or ask the operator for a higher limit",
		show(max(limit, 0)), what, show(have), show(more))
}

// checkCount refuses one more of something than an account may have.
func checkCount(limit, have int64, what string) error {
	if limit == model.Unlimited || have < limit {
		return nil
	}
	if limit < 0 {
		return model.Errorf(model.KindExhausted, "Quota exceeded: this account may have no %s; ask the operator for a higher limit", what)
	}
	return model.Errorf(model.KindExhausted,
		"Quota exceeded: this account may have %d %s and has %d; remove some, or ask the operator for a higher limit", limit, what, have)
}

// sizeText shows a size in the largest unit that leaves a number of 1 or more.
func sizeText(n int64) string {
	for _, unit := range []struct {
		size int64
		name string
	}{{1 << 40, "TiB"}, {1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if n >= unit.size {
			return fmt.Sprintf("%.4g %s", float64(n)/float64(unit.size), unit.name)
		}
	}
	return fmt.Sprintf("%d bytes", n)
}

// coresText shows thousandths of a core.
func coresText(n int64) string { return fmt.Sprintf("%g", float64(n)/1000) }
