package jobs

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/rivermigrate"
)

// Migrate brings the queue's tables to the version of this binary. Tables of a newer version are refused.
func Migrate(ctx context.Context, d Database) error {
	m, err := rivermigrate.New(d.driver(), nil)
	if err != nil {
		return fmt.Errorf("open job migrations: %w", err)
	}
	if err := refuseNewer(ctx, d, m); err != nil {
		return err
	}
	if _, err := m.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return fmt.Errorf("migrate job tables: %w", err)
	}
	return nil
}

// Check reports tables that are not of the version of this binary.
func Check(ctx context.Context, d Database) error {
	m, err := rivermigrate.New(d.driver(), nil)
	if err != nil {
		return fmt.Errorf("open job migrations: %w", err)
	}
	if err := refuseNewer(ctx, d, m); err != nil {
		return err
	}
	res, err := m.Validate(ctx, nil)
	if err != nil {
		return fmt.Errorf("check job tables: %w", err)
	}
	if !res.OK {
		return fmt.Errorf("the job tables are not up to date (%v); run: holdfast migrate", res.Messages)
	}
	return nil
}

// refuseNewer reads the versions by itself, since River's list of them fails on one that it does not know.
func refuseNewer(ctx context.Context, d Database, m *rivermigrate.Migrator[*sql.Tx]) error {
	exec := d.driver().GetExecutor()
	var have []*riverdriver.Migration
	there, err := exec.TableExists(ctx, &riverdriver.TableExistsParams{Table: "river_migration"})
	if err == nil && there {
		have, err = exec.MigrationGetByLine(ctx, &riverdriver.MigrationGetByLineParams{Line: riverdriver.MigrationLineMain})
	}
	if err != nil {
		return fmt.Errorf("read version of job tables: %w", err)
	}
	all := m.AllVersions()
	newest := all[len(all)-1].Version
	for _, v := range have {
		if v.Version > newest {
			return fmt.Errorf("the job tables are of version %d, this binary knows up to %d: use the newer holdfast binary again, or restore a backup made before the upgrade", v.Version, newest)
		}
	}
	return nil
}
