package main

import (
	"fmt"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	"k8s.io/kubernetes/pkg/apis/apps"
	appsvalidation "k8s.io/kubernetes/pkg/apis/apps/validation"
	"k8s.io/kubernetes/pkg/apis/core"
	corevalidation "k8s.io/kubernetes/pkg/apis/core/validation"
	"k8s.io/kubernetes/pkg/apis/networking"
	networkvalidation "k8s.io/kubernetes/pkg/apis/networking/validation"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// validate asks the API server's own rules. A kind without any here is an error:
// nothing is to pass unseen.
func validate(object runtime.Object) error {
	var faults field.ErrorList
	switch o := object.(type) {
	case *core.Namespace:
		faults = corevalidation.ValidateNamespace(o)
	case *core.Secret:
		faults = corevalidation.ValidateSecret(o)
	case *core.ConfigMap:
		faults = corevalidation.ValidateConfigMap(o)
	case *core.ServiceAccount:
		faults = corevalidation.ValidateServiceAccount(o)
	case *core.PersistentVolumeClaim:
		faults = corevalidation.ValidatePersistentVolumeClaim(o, corevalidation.PersistentVolumeClaimSpecValidationOptions{})
	case *core.Service:
		// As the server fills it in before it validates.
		o.Spec.ClusterIPs = []string{o.Spec.ClusterIP}
		faults = corevalidation.ValidateServiceCreate(o)
	case *apps.StatefulSet:
		faults = appsvalidation.ValidateStatefulSet(o, corevalidation.PodValidationOptions{})
	case *apps.Deployment:
		faults = appsvalidation.ValidateDeployment(o, corevalidation.PodValidationOptions{})
	case *networking.NetworkPolicy:
		faults = networkvalidation.ValidateNetworkPolicy(o, networkvalidation.NetworkPolicyValidationOptions{})
	default:
		return fmt.Errorf("no rules are known here for %T", object)
	}
	return faults.ToAggregate()
}

// restricted holds every pod to the strictest pod security standard.
func restricted(object runtime.Object) error {
	var template core.PodTemplateSpec
	switch o := object.(type) {
	case *apps.StatefulSet:
		template = o.Spec.Template
	case *apps.Deployment:
		template = o.Spec.Template
	default:
		return nil
	}
	var pod v1.PodTemplateSpec
	if err := legacyscheme.Scheme.Convert(&template, &pod, nil); err != nil {
		return err
	}
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks())
	if err != nil {
		return err
	}
	strictest := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	verdict := policy.AggregateCheckResults(evaluator.EvaluatePod(strictest, &pod.ObjectMeta, &pod.Spec))
	if !verdict.Allowed {
		return fmt.Errorf("pod security: %s: %s", verdict.ForbiddenReason(), verdict.ForbiddenDetail())
	}
	return nil
}
