-- GroomBook's schema. One statement a paragraph (a blank line ends it): `--migrate` sends them one
-- by one. What is already there stays. Foreign keys: <table>_<column>_<parent>_id_fk, cut by
-- Postgres's limit of 63 bytes in one case.

do $$ begin create type staff_role as enum ('manager', 'receptionist', 'groomer'); exception when duplicate_object then null; end $$;

do $$ begin create type appointment_status as enum ('scheduled', 'confirmed', 'completed', 'cancelled', 'no_show'); exception when duplicate_object then null; end $$;

do $$ begin create type invoice_status as enum ('draft', 'pending', 'paid', 'void'); exception when duplicate_object then null; end $$;

do $$ begin create type payment_method as enum ('cash', 'card', 'check', 'other'); exception when duplicate_object then null; end $$;

create table if not exists staff (
  id uuid primary key default gen_random_uuid(),
  name text not null,
  email text not null constraint staff_email_unique unique,
  role staff_role not null default 'groomer',
  is_super_user boolean not null default false,
  active boolean not null default true,
  created_at timestamp not null default now()
);

create table if not exists services (
  id uuid primary key default gen_random_uuid(),
  name text not null constraint services_name_unique unique,
  description text,
  base_price_cents integer not null,
  duration_minutes integer not null,
  active boolean not null default true,
  created_at timestamp not null default now()
);

create table if not exists clients (
  id uuid primary key default gen_random_uuid(),
  name text not null,
  email text,
  phone text,
  address text,
  notes text,
  email_opt_out boolean not null default false,
  created_at timestamp not null default now()
);

create table if not exists pets (
  id uuid primary key default gen_random_uuid(),
  client_id uuid not null constraint pets_client_id_clients_id_fk references clients (id) on delete cascade,
  name text not null,
  species text not null,
  breed text,
  weight_kg numeric(5, 2),
  date_of_birth date,
  health_alerts text,
  grooming_notes text,
  created_at timestamp not null default now()
);

create table if not exists appointments (
  id uuid primary key default gen_random_uuid(),
  client_id uuid not null constraint appointments_client_id_clients_id_fk references clients (id) on delete restrict,
  pet_id uuid not null constraint appointments_pet_id_pets_id_fk references pets (id) on delete restrict,
  service_id uuid not null constraint appointments_service_id_services_id_fk references services (id) on delete restrict,
  staff_id uuid constraint appointments_staff_id_staff_id_fk references staff (id) on delete set null,
  bather_staff_id uuid constraint appointments_bather_staff_id_staff_id_fk references staff (id) on delete set null,
  status appointment_status not null default 'scheduled',
  start_time timestamp not null,
  end_time timestamp not null,
  notes text,
  price_cents integer,
  created_at timestamp not null default now()
);

create table if not exists invoices (
  id uuid primary key default gen_random_uuid(),
  appointment_id uuid constraint invoices_appointment_id_appointments_id_fk references appointments (id) on delete restrict,
  client_id uuid not null constraint invoices_client_id_clients_id_fk references clients (id) on delete restrict,
  subtotal_cents integer not null,
  tax_cents integer not null default 0,
  tip_cents integer not null default 0,
  total_cents integer not null,
  status invoice_status not null default 'draft',
  payment_method payment_method,
  paid_at timestamp,
  notes text,
  created_at timestamp not null default now()
);

create table if not exists invoice_line_items (
  id uuid primary key default gen_random_uuid(),
  invoice_id uuid not null constraint invoice_line_items_invoice_id_invoices_id_fk references invoices (id) on delete cascade,
  description text not null,
  quantity integer not null default 1,
  unit_price_cents integer not null,
  total_cents integer not null,
  created_at timestamp not null default now()
);

create table if not exists invoice_tip_splits (
  id uuid primary key default gen_random_uuid(),
  invoice_id uuid not null constraint invoice_tip_splits_invoice_id_invoices_id_fk references invoices (id) on delete cascade,
  staff_id uuid constraint invoice_tip_splits_staff_id_staff_id_fk references staff (id) on delete set null,
  staff_name text not null,
  share_pct numeric(5, 2) not null,
  share_cents integer not null,
  created_at timestamp not null default now()
);

create table if not exists grooming_visit_logs (
  id uuid primary key default gen_random_uuid(),
  pet_id uuid not null constraint grooming_visit_logs_pet_id_pets_id_fk references pets (id) on delete cascade,
  appointment_id uuid constraint grooming_visit_logs_appointment_id_appointments_id_fk references appointments (id) on delete set null,
  staff_id uuid constraint grooming_visit_logs_staff_id_staff_id_fk references staff (id) on delete set null,
  cut_style text,
  products_used text,
  notes text,
  groomed_at timestamp not null default now(),
  created_at timestamp not null default now()
);

create table if not exists impersonation_sessions (
  id uuid primary key default gen_random_uuid(),
  staff_id uuid not null constraint impersonation_sessions_staff_id_staff_id_fk references staff (id),
  client_id uuid not null constraint impersonation_sessions_client_id_clients_id_fk references clients (id),
  reason text,
  started_at timestamp not null default now(),
  ended_at timestamp,
  created_at timestamp not null default now()
);

create table if not exists impersonation_audit_logs (
  id uuid primary key default gen_random_uuid(),
  session_id uuid not null constraint impersonation_audit_logs_session_id_impersonation_sessions_id_f references impersonation_sessions (id) on delete cascade,
  action text not null,
  detail text,
  created_at timestamp not null default now()
);
