"""Shared by the files of rules: the image of a job, the resources that it requests, and checks before the first job."""

import shutil

from snakemake.settings.types import DeploymentMethod

from scripts.containers import images, preflight
from scripts.containers import launch as launching
from scripts.train.settings.base import TrainedModel
from scripts.workflow import plan

IMAGES = sorted(set(CONFIG.environments.values()))
SITE = workflow.resource_settings.default_resources or {}
OF_GPU_JOBS = {"gpu_partition": "slurm_partition", "gpu_constraint": "constraint"}
"""Setting of a site's profile for GPU jobs to the executor's name for it."""

# Containers do not see the host's environment; only these variables are passed through.
PASSED_THROUGH = "CUDA_VISIBLE_DEVICES HF_HOME HF_ENDPOINT HF_TOKEN LOCAL_KERNELS http_proxy https_proxy no_proxy"
for name in PASSED_THROUGH.split():
    if name in os.environ:
        os.environ[f"APPTAINERENV_{name}"] = os.environ[name]

# Only the rules that download may access the hub, and only if the user does not forbid it.
OFFLINE = launching.Untracked(os.environ.get("HF_HUB_OFFLINE", "0"))


@cache
def dry_run_without_apptainer():
    """Whether this is a dry run without Apptainer. Snakemake looks for Apptainer as soon as a job has a container."""
    return workflow.dryrun and not shutil.which("apptainer")


def budget_of(rule):
    """The resources that each job of a rule may use."""
    return CONFIG.budget_of(ARTIFACTS.kinds[rule].step)


def image(rule):
    """The image that a rule's jobs run in.

    None for jobs outside containers, and for multi-node jobs, which enter the image on each node.
    """
    if not CONFIG.containers or budget_of(rule).nodes > 1:
        return None
    path = str(images.image_file(CONFIG.environments[ARTIFACTS.kinds[rule].role]))
    return lambda wildcards: None if dry_run_without_apptainer() else path


def launch(rule):
    """The start of a training's command, before the module's name: python, or a launcher of several processes."""
    train_image = images.image_file(CONFIG.environments["train"]) if CONFIG.containers else None
    return launching.launch(budget_of(rule), train_image, workflow.deployment_settings.apptainer_args)


def tracking(wildcards):
    """Params function: environment variables that name a training's trackers; empty if none are configured."""
    if not CONFIG.trackers:
        return launching.Untracked("")
    return launching.Untracked(
        f"NEBULA_TRACKERS={','.join(CONFIG.trackers)} NEBULA_TRACKING={PATHS.at('logs', 'tracking', wildcards.model)} "
    )


def cpus(rule):
    """CPUs per node of a rule's jobs."""
    return budget_of(rule).cpus


def resources(rule):
    """The resources that a rule's jobs request from SLURM, as keywords of `resources`; None requests nothing.

    `disk` is None because Snakemake's default looks up the size of every input of every job. The profile's settings for
    GPU jobs are None because this function translates them; they are not resources.
    """
    budget = budget_of(rule)
    requested = {"disk": None, **dict.fromkeys(OF_GPU_JOBS)}
    if not budget.gpus:
        return requested | {
            "gpu_model": None,  # if it were set, the executor would request a GPU
            "mem_mb": lambda wildcards, attempt: budget.of_attempt(attempt).memory_gb * 1000,
            "runtime": lambda wildcards, attempt: minutes(budget, attempt),
        }
    requested |= {"mem_mb": budget.memory_gb * 1000, "runtime": budget.minutes}
    requested |= {"gpu": budget.gpus * budget.nodes, "nodes": budget.nodes}
    if budget.nodes > 1:  # the srun in the rule's command starts one task per node
        requested |= {"mpi": "srun", "tasks": budget.nodes, "tasks_per_gpu": 0}
    requested |= {name: SITE[setting].raw for setting, name in OF_GPU_JOBS.items() if setting in SITE}
    return requested


def unsubmitted():
    """The `resources` of rules whose jobs run on Snakemake's own machine: every default of the profile is cancelled."""
    return {name.removesuffix("_mb"): None for name in SITE if name != "tmpdir"}


def minutes(budget, attempt):
    """Walltime of an attempt in minutes: a retry requests more, up to the limit of its partition."""
    grown = budget.of_attempt(attempt).minutes
    if grown == budget.minutes or workflow.executor_plugin.name != "slurm" or "slurm_partition" not in SITE:
        return grown
    return min(grown, preflight.partitions()[SITE["slurm_partition"].raw].minutes)


def image_recipe(wildcards):
    """Params function: the recipe of an image as one string."""
    return canonical_json(
        {
            "settings": {"environment": wildcards.environment, "base": CONFIG.image_base},
            "seed": CONFIG.seed,
            "code": fingerprint("scripts.containers.build"),
            "environment": images.identity(wildcards.environment, contained=True),
        }
    )


def sbatch_options(job):
    """The options of `sbatch` that a job is submitted with; None if it leaves the partition to SLURM."""
    resource = job.resources.get
    if not resource("slurm_partition"):
        return None
    options = {
        "partition": resource("slurm_partition"),
        "account": resource("slurm_account"),
        "qos": resource("qos"),
        "constraint": resource("constraint"),
        "time": resource("runtime"),
        "mem": resource("mem_mb"),
        "gpus": ":".join(str(part) for part in (resource("gpu_model"), resource("gpu")) if part),
        "nodes": resource("nodes"),
        "cpus-per-task": job.threads,
    }
    return preflight.JobRequest(job.rule.name, tuple((name, str(value)) for name, value in options.items() if value))


onstart:
    jobs = list(workflow.dag.needrun_jobs())
    slurm = workflow.executor_plugin.name == "slurm"
    needed = {Path(job.container_img_url).stem for job in jobs if job.container_img_url}
    if CONFIG.containers and any(job.resources.get("mpi") for job in jobs):
        needed.add(CONFIG.environments["train"])
    problems = preflight.image_problems(
        needed,
        apptainer=DeploymentMethod.APPTAINER in workflow.deployment_settings.deployment_method,
    )
    if CONFIG.containers:
        planned = {output for job in jobs for output in job.output}
        models = CONFIG.models.items()
        trained = [name for name, m in models if isinstance(m, TrainedModel) and PATHS.model(name) in planned]
        problems += preflight.kernel_problems(CONFIG.training_of(name).attention for name in trained)
    problems += preflight.disk_problems(Path(CONFIG.results), CONFIG.disk_gb)
    read = {job.wildcards.source for job in jobs if job.rule.name == "normalize_source"}
    problems += plan.missing_sources(CONFIG, read, Path(CONFIG.corpora_dir or "."))
    submitted = [job for job in jobs if not job.is_local]
    if slurm and submitted:
        requests = [request for job in submitted if (request := sbatch_options(job))]
        problems += preflight.slurm_problems(
            requests, workflow.executor_settings.status_command, Path(CONFIG.results)
        )
    if problems:
        raise WorkflowError(*problems)
