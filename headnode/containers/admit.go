package containers

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spearheadcloud/spearhead/headnode/images"
	"github.com/spearheadcloud/spearhead/headnode/policy"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/model/affinity"
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

// plan is an admitted request: all that is known before a node is chosen.
type plan struct {
	account  model.Account
	request  model.CreateContainer // its Spec is merged with the image's
	image    model.Image
	pkg      model.Package
	need     model.Resources
	networks []model.Network // the first has the container's default route; none of none, host, and another container's
	nics     []model.NIC     // on them, with the addresses that were asked for
	nodeID   string          // the only node allowed; "" is any
	heldDisk bool            // its disk size is the request's own
	local    bool            // the image is at no registry, only on its holders
	links    []target
	rules    []string // of affinity
	traits   []string // that the node must have
	warnings []string // of what the container gets otherwise than asked for
}

// admit judges a request by everything that does not depend on nodes: first
// what the account may ask, then what this version can do, then whether what
// it names is there.
func admit(v *state.View, a model.Account, r model.CreateContainer) (plan, error) {
	if err := policy.Refuse(policy.Check(a, &r)); err != nil {
		return plan{}, err
	}
	if len(r.Unsupported) > 0 {
		return plan{}, model.Errorf(model.KindNotImplemented, "this version does not support %s; leave it out", strings.Join(r.Unsupported, ", "))
	}
	if err := checkBounds(&r); err != nil {
		return plan{}, err
	}
	p := plan{account: a, request: r}
	for _, step := range []func(*state.View) error{p.findRules, p.findPackage, p.findImage, p.findTraits, p.findSharedNamespaces, p.findVolumes, p.findNetworks, p.findLinks, p.checkSize} {
		if err := step(v); err != nil {
			return plan{}, err
		}
	}
	return p, nil
}

// findRules takes what the request says of other containers and of nodes out
// of its environment. Labels of images are no rules.
func (p *plan) findRules(*state.View) (err error) {
	spec := &p.request.Spec
	p.rules, spec.Env, spec.Labels, err = affinity.Take(spec.Env, spec.Labels)
	return err
}

func (p *plan) findImage(v *state.View) error {
	img, err := images.Find(v, p.account.ID, p.request.Spec.Image)
	if err != nil {
		return err
	}
	if err := img.CheckPlatform(p.request.Spec.Image, p.request.Platform); err != nil {
		return err
	}
	p.image, p.local = img, images.Local(v, p.account.ID, img.ID)
	if err := mergeImage(&p.request.Spec, &img); err != nil {
		return err
	}
	if len(p.rules) == 0 {
		delete(p.request.Spec.Labels, affinity.Label)
	}
	// What a package is called is said each time that the container is looked
	// at, and an image chooses none.
	delete(p.request.Spec.Labels, model.LabelPackage)
	delete(p.request.Spec.Labels, model.LabelPackageTriton)
	if p.request.PublishAll {
		publishAll(p.request.Spec.Ports)
	}
	return nil
}

func (p *plan) findPackage(v *state.View) error {
	trusted := p.account.Policy == model.PolicyTrusted
	spec := &p.request.Spec
	pkg, err := choosePackage(v.Packages(), p.account, spec)
	if err != nil {
		return err
	}
	p.pkg, p.heldDisk = pkg, spec.Limits.Disk > 0
	if p.heldDisk && !slices.ContainsFunc(v.Nodes(), func(n *model.Node) bool { return n.Info.DiskQuota }) {
		return model.Errorf(model.KindInvalid,
			"invalid value for HostConfig.StorageOpt[\"size\"]: no node of the data center can hold a container to a disk size; leave it out, or ask the operator for nodes with ZFS")
	}
	unbound := spec.Limits.Pids < 0 && !trusted
	p.need = applyPackage(&spec.Limits, pkg, trusted)
	if unbound {
		p.warnings = append(p.warnings, fmt.Sprintf("this account's containers cannot have any number of processes: package %s bounds them at %d", pkg.Name, spec.Limits.Pids))
	}
	return nil
}

// traitsLabel lists, with commas, what the node must have.
const traitsLabel = "spearhead.traits"

func (p *plan) findTraits(*state.View) error {
	p.traits = slices.Clone(p.pkg.Traits)
	text := p.request.Spec.Labels[traitsLabel]
	if text == "" {
		return nil
	}
	for trait := range strings.SplitSeq(text, ",") {
		trait = strings.TrimSpace(trait)
		if err := model.CheckTrait(trait); err != nil {
			return model.Errorf(model.KindInvalid, "invalid label %s: %s", traitsLabel, model.UserText(err))
		}
		p.traits = append(p.traits, trait)
	}
	return nil
}

// findSharedNamespaces resolves "container:REF" to the account's own container
// and binds the new one to its node.
func (p *plan) findSharedNamespaces(v *state.View) error {
	spec := &p.request.Spec
	for _, mode := range []*string{&spec.Network, &spec.PidMode, &spec.IpcMode} {
		ref, shared := strings.CutPrefix(*mode, "container:")
		if !shared {
			continue
		}
		other, err := p.findOther(v, ref)
		if err != nil {
			return err
		}
		if err := p.pin(&other); err != nil {
			return err
		}
		*mode = "container:" + other.ID
	}
	return nil
}

// findOther finds a container that the new one stands on. That there is none is
// a fault of the request, as with Docker: with KindNotFound its client would take
// the image for missing and pull it.
func (p *plan) findOther(v *state.View, ref string) (model.Container, error) {
	other, err := find(v, p.account.ID, ref)
	if model.IsKind(err, model.KindNotFound) {
		err = model.Errorf(model.KindInvalid, "%s", model.UserText(err))
	}
	return other, err
}

// pin binds the new container to the node of another one.
func (p *plan) pin(other *model.Container) error {
	if p.nodeID != "" && p.nodeID != other.NodeID {
		return model.Errorf(model.KindConflict, "cannot share namespaces or volumes with containers on different nodes; share with containers of one node")
	}
	p.nodeID = other.NodeID
	return nil
}
