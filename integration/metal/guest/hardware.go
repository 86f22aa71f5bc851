package guest

import (
	"context"
	"fmt"
)

// Reboot boots the machine anew in good order and returns when it takes commands.
func (m *Machine) Reboot(ctx context.Context) error {
	before, err := m.Run(ctx, "cat /proc/sys/kernel/random/boot_id")
	if err != nil {
		return err
	}
	if _, err := m.Try(ctx, "systemctl reboot", nil); err != nil && ctx.Err() != nil {
		return err
	}
	return m.waitForBoot(ctx, before)
}

// Reset cuts the power for a moment: whatever the machine had not written is lost to it. It
// returns when the machine takes commands again.
func (m *Machine) Reset(ctx context.Context) error {
	before, err := m.Run(ctx, "cat /proc/sys/kernel/random/boot_id")
	if err != nil {
		return err
	}
	if err := m.qmp.call(ctx, "system_reset", nil, nil); err != nil {
		return err
	}
	return m.waitForBoot(ctx, before)
}

func (m *Machine) waitForBoot(ctx context.Context, before string) error {
	for {
		m.hangUp()
		if err := m.Wait(ctx); err != nil {
			return err
		}
		if now, err := m.Run(ctx, "cat /proc/sys/kernel/random/boot_id"); err == nil && now != before {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("the machine does not boot: %w", err)
		}
	}
}

// Pull takes a further disk out of the running machine.
func (m *Machine) Pull(ctx context.Context, disk int) error {
	return m.qmp.call(ctx, "device_del", map[string]any{"id": "dev-" + diskName(disk)}, nil)
}

// Plug puts a disk that was pulled back.
func (m *Machine) Plug(ctx context.Context, disk int) error {
	name := diskName(disk)
	return m.qmp.call(ctx, "device_add", map[string]any{
		"driver": "virtio-blk-pci", "id": "dev-" + name, "serial": name, "drive": name,
	}, nil)
}

// Stall makes a further disk answer nothing, or answer again.
func (m *Machine) Stall(ctx context.Context, disk int, stalled bool) error {
	rate := 0 // as fast as it can
	if stalled {
		rate = 1 // a byte a second
	}
	return m.qmp.call(ctx, "block_set_io_throttle", map[string]any{
		"id": "/machine/peripheral/dev-" + diskName(disk) + "/virtio-backend", "bps": rate, "bps_rd": 0, "bps_wr": 0, "iops": 0, "iops_rd": 0, "iops_wr": 0,
	}, nil)
}
